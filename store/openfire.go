package store

import (
	"context"
	"fmt"
	"strings"
)

// OpenfireSettings are what Openfire keeps in its database for components and for the Java plugin.
type OpenfireSettings struct {
	Properties map[string]OpenfireProperty  // of ofProperty, those of components and of the plugin alone
	Components map[string]OpenfireComponent // of ofExtComponentConf, by subdomain
	Servers    map[string]bool              // of ofRemoteServerConf, by domain: whether it is allowed
	Suite      bool                         // the business suite's tables of users are there
	// OfflineCharset is the character set of Openfire's own offline store where that does not hold everything, and OfflineRemedy what to do.
	OfflineCharset, OfflineRemedy string
}

// OpenfireProperty is a row of ofProperty.
type OpenfireProperty struct {
	Value     string
	Encrypted bool // by Openfire's key
}

// OpenfireComponent is what an administrator said of one external component.
type OpenfireComponent struct {
	Secret  string
	Allowed bool
}

// Openfire reads the settings. ErrSchema: it is not Openfire's database.
func (e *Examination) Openfire(ctx context.Context) (*OpenfireSettings, error) {
	properties, components := e.have["ofproperty"], e.have["ofextcomponentconf"]
	if properties == nil {
		return nil, fmt.Errorf("%w: the database has no table ofProperty, so it is not Openfire's", ErrSchema)
	}
	s := &OpenfireSettings{Properties: map[string]OpenfireProperty{}, Components: map[string]OpenfireComponent{}, Servers: map[string]bool{},
		Suite: e.have["isc_user"] != nil && e.have["isc_user_info"] != nil}
	encrypted := "0"
	if _, there := properties.columns["encrypted"]; there {
		encrypted = "encrypted"
	}
	// Chosen here and not by the database, which may take other letters for these. Of the others some are passwords, which are none of our
	// business.
	err := each(ctx, e.s.pools.reader, `SELECT name, propValue, `+encrypted+` FROM `+properties.names[0], func(scan scanner) error {
		var name, value text
		var secret flag
		if err := scan(&name, &value, &secret); err != nil {
			return err
		}
		if n := string(name); strings.HasPrefix(n, "tlim.") || strings.HasPrefix(n, "xmpp.") || n == "route.all-resources" || n == "session.stalled.cap" {
			s.Properties[n] = OpenfireProperty{string(value), bool(secret)}
		}
		return nil
	})
	if err == nil && components != nil {
		err = each(ctx, e.s.pools.reader, `SELECT subdomain, secret, permission FROM `+components.names[0], func(scan scanner) error {
			var subdomain, secret, permission text
			if err := scan(&subdomain, &secret, &permission); err != nil {
				return err
			}
			s.Components[strings.ToLower(string(subdomain))] = OpenfireComponent{string(secret), strings.EqualFold(string(permission), "allowed")}
			return nil
		})
	}
	if servers := e.have["ofremoteserverconf"]; err == nil && servers != nil {
		err = e.pairs(ctx, `SELECT xmppDomain, permission, 0 FROM `+servers.names[0], func(domain, permission, _ string) {
			s.Servers[strings.ToLower(domain)] = strings.EqualFold(permission, "allowed")
		})
	}
	if offline := e.have["ofoffline"]; offline != nil && offline.columns["stanza"].charset.lacks != lacksNothing {
		s.OfflineCharset, s.OfflineRemedy = offline.columns["stanza"].charset.name, e.s.dialect.remedyOffline("ofOffline", "stanza")
	}
	if err != nil {
		return nil, fmt.Errorf("read Openfire's settings: %w", e.s.fail(err))
	}
	return s, nil
}

// remedyOffline says how a column of Openfire's own comes to hold every character; its collation is Openfire's affair.
func (d *dialect) remedyOffline(table, column string) string {
	if d.looks.everyCharacter == nil {
		return d.convert(table)
	}
	return "in a quiet hour, with Openfire stopped, " + d.looks.everyCharacter(table, column) + "; best all of Openfire's tables"
}
