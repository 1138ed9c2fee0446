package store_test

import (
	"net/url"
	"testing"

	"github.com/go-sql-driver/mysql"

	"tlim/store"
)

// A real server is reached by each form of its address.
func TestOpenByURL(t *testing.T) {
	cfg := mysqlEngine.fresh(t)
	at := must[*mysql.Config](t)(mysql.ParseDSN(cfg.DSN))
	for name, dsn := range map[string]string{
		"JDBC":         "jdbc:mysql://" + at.Addr + "/" + at.DBName + "?useUnicode=true&amp;characterEncoding=UTF-8&amp;useSSL=false&amp;user=" + url.QueryEscape(at.User) + "&amp;password=" + url.QueryEscape(at.Passwd),
		"MariaDB JDBC": "jdbc:mariadb://" + at.Addr + "/" + at.DBName + "?user=" + url.QueryEscape(at.User) + "&password=" + url.QueryEscape(at.Passwd) + "&sslMode=disable&connectTimeout=10000",
		"URL":          (&url.URL{Scheme: "mysql", User: url.UserPassword(at.User, at.Passwd), Host: at.Addr, Path: at.DBName}).String(),
		"Go":           at.User + ":" + at.Passwd + "@tcp(" + at.Addr + ")/" + at.DBName + "?useUnicode=true&characterEncoding=utf8&innodb_lock_wait_timeout=9",
	} {
		t.Run(name, func(t *testing.T) {
			cfg.DSN = dsn
			s, err := store.Open(ctx, cfg)
			if err != nil {
				t.Error(err)
				return
			}
			must[store.State](t)(s.State(ctx))
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
