package store

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// This file reads the addresses of databases. Administrators have them in several forms, and an address holds a password:
// no error of this file quotes any part of one, and neither do the errors of a driver, which gets only parts that were
// checked here.

// addressForm tells of an address that it is for some engine.
type addressForm struct {
	engine string // "": one that tlim will not have
	server string // for people
	form   *regexp.Regexp
}

// otherForms are those of servers that tlim does not have.
var otherForms = []addressForm{
	{"", "a database of another engine", regexp.MustCompile(`(?i)^jdbc:|^(postgres|postgresql|pgsql|hsqldb|db2)://`)},
	{"", "a server in the form of ADO", regexp.MustCompile(`(?i)(^|;)\s*(server|data source|addr|address|host|network address)\s*=`)},
}

// formOf is the first form that an address has: those of our engines, and of others.
func formOf(dsn string) (form addressForm, found bool) {
	var forms []addressForm
	for _, d := range engines() {
		if d.address != nil {
			forms = append(forms, addressForm{d.name, d.server, d.address})
		}
	}
	for _, f := range append(forms, otherForms...) {
		if f.form.MatchString(dsn) {
			return f, true
		}
	}
	return addressForm{}, false
}

// DriverOf tells the engine that an address is for, by its form; where the form does not tell, it is otherwise. A tlim that
// stores in SQLite can so read the users of an Openfire on MySQL.
func DriverOf(dsn, otherwise string) string {
	if f, found := formOf(dsn); found && f.engine != "" {
		return f.engine
	}
	return otherwise
}

// checkForm says what is wrong with an address before a driver sees it. The texts stand behind the name of the key.
func checkForm(driver, dsn string) error {
	switch {
	case strings.ContainsFunc(dsn, unicode.IsControl):
		return errors.New("holds a line break or another control character")
	case strings.HasPrefix(dsn, `"`), strings.HasPrefix(dsn, `'`), strings.HasPrefix(dsn, "“"), strings.HasPrefix(dsn, "‘"):
		return errors.New("begins with a quotation mark: leave the quotation marks away")
	}
	f, found := formOf(dsn)
	if !found || f.engine == driver && dialects[driver] != nil {
		return nil
	}
	switch d := dialects[driver]; {
	case dialects[f.engine] != nil:
		return fmt.Errorf("is the address of %s, and store.driver is %s: set store.driver: %s", f.server, driver, f.engine)
	case d != nil && !d.local:
		return fmt.Errorf("is the address of %s: write it as %s", f.server, d.form)
	}
	return fmt.Errorf("is the address of %s; %s", f.server, rightForms())
}

// rightForms says how the addresses of all engines are written.
func rightForms() string {
	var forms []string
	for _, d := range engines() {
		if d.name == defaultEngine {
			forms = append(forms, "for "+d.name+" it is "+d.form)
		} else {
			forms = append(forms, d.name+" needs store.driver: "+d.name+" and "+d.form)
		}
	}
	return strings.Join(forms, ", and ")
}

// Mask is what may be shown of the secret parts of an address.
const Mask = "********"

// passwordMayGoOn says that a URL has a login and another "@" in its parameters: what looks like server, path and parameters may be a part of the password.
func passwordMayGoOn(u *url.URL) bool { return u.User != nil && strings.Contains(u.RawQuery, "@") }

// maskUser shows the name of a user that is surely no password.
func maskUser(name string) string {
	if userName.MatchString(name) {
		return name
	}
	return Mask
}

var userName = regexp.MustCompile(`^[\w.-]{1,32}$`)

// databaseName is what the name of a database on a server looks like.
var databaseName = regexp.MustCompile(`^[^@:;=&\s]+$`)

// MaskDSN is an address as it may be shown: where the data goes, without password and parameters. Of what has no known form
// nothing is shown.
func MaskDSN(dsn string) string {
	if dsn == "" {
		return ""
	}
	for _, local := range []bool{false, true} { // "/im" is a database of the server on this machine before it is a file
		for _, d := range engines() {
			if d.local != local {
				continue
			}
			if shown, ok := d.mask(dsn); ok {
				return shown
			}
		}
	}
	return Mask
}
