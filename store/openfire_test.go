package store_test

import (
	"errors"
	"fmt"
	"testing"

	"tlim/store"
)

// TestOpenfireSettings reads what Openfire keeps for components, and nothing else of its properties.
func TestOpenfireSettings(t *testing.T) {
	onEngines(t, func(t *testing.T, e engine) {
		if e.later {
			return
		}
		look := func(cfg store.Config) (*store.OpenfireSettings, error) {
			x, err := store.Examine(ctx, cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close()
			return x.Openfire(ctx)
		}
		if _, err := look(e.fresh(t, `CREATE TABLE other (id int)`)); !errors.Is(err, store.ErrSchema) {
			t.Errorf("another database: got %v, want %v", err, store.ErrSchema)
		}
		tables := []string{
			`CREATE TABLE ofProperty (name varchar(100) NOT NULL PRIMARY KEY, propValue text NOT NULL, encrypted int)`,
			`INSERT INTO ofProperty (name, propValue, encrypted) VALUES ('xmpp.domain', 'im.test', NULL), ('xmpp.component.defaultSecret', 'ab12', 1), ('tlim.cleanUp', 'true', 0), ('route.all-resources', 'true', 0), ('ldap.adminPassword', 'hush', 0)`,
			`CREATE TABLE ofExtComponentConf (subdomain varchar(255) NOT NULL, wildcard int NOT NULL, secret varchar(255), permission varchar(10) NOT NULL)`,
			`INSERT INTO ofExtComponentConf (subdomain, wildcard, secret, permission) VALUES ('tlim', 0, 's3cret', 'allowed'), ('other', 0, NULL, 'blocked')`,
		}
		s, err := look(e.fresh(t, tables...))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "properties", fmt.Sprint(s.Properties), "map[route.all-resources:{true false} tlim.cleanUp:{true false} xmpp.component.defaultSecret:{ab12 true} xmpp.domain:{im.test false}]")
		equal(t, "components", fmt.Sprint(s.Components, s.Suite), "map[other:{ false} tlim:{s3cret true}] false")

		// as a server that does not tell letter case apart has them, before Openfire encrypted properties
		s, err = look(e.fresh(t, `CREATE TABLE ofproperty (name varchar(100) NOT NULL PRIMARY KEY, propvalue text NOT NULL)`, `INSERT INTO ofproperty (name, propvalue) VALUES ('xmpp.domain', 'im.test')`,
			`CREATE TABLE isc_user (user_id varchar(64))`, `CREATE TABLE isc_user_info (user_id varchar(64))`))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "old ones", fmt.Sprint(s.Properties, s.Components, s.Suite), "map[xmpp.domain:{im.test false}] map[] true")
	})
}
