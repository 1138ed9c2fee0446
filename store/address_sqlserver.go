package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/microsoft/go-mssqldb/msdsn"
)

// sqlserverForm is what errors name as the right form.
const sqlserverForm = "sqlserver://user:password@host:1433?database=name"

var sqlserverServer = regexp.MustCompile(`(?i)^jdbc:(sqlserver|jtds:sqlserver|microsoft:sqlserver):|^(sqlserver|mssql)://|(^|;)\s*(server|data source|addr|address|network address)\s*=`)

var (
	// Host, instance and port of JDBC, and jTDS' database.
	sqlserverJDBC     = regexp.MustCompile(`(?is)^jdbc:(?:jtds:|microsoft:)?sqlserver://([^;/]*)(?:/([^;]*))?(?:;(.*))?$`)
	sqlserverInstance = regexp.MustCompile(`^/?[A-Za-z0-9_$#]*$`)
	sqlserverHost     = regexp.MustCompile(`^(?:tcp:)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._()-]*)(?:\\([A-Za-z0-9_$#]+))?(?:[:,]\s*([0-9]+))?$`)
)

// sqlserverParts is an address taken apart.
type sqlserverParts struct {
	host, instance, port     string
	user, password, database string
	params                   url.Values // for the driver
}

// sqlserverAddress reads a SQL Server's address: a URL, the form of ADO, or that of JDBC.
func sqlserverAddress(dsn string) (*msdsn.Config, error) {
	if err := checkForm("sqlserver", dsn); err != nil {
		return nil, err
	}
	a := sqlserverParts{params: url.Values{}}
	var err error
	lower := strings.ToLower(dsn)
	switch m := sqlserverJDBC.FindStringSubmatch(dsn); {
	case m != nil:
		a.database = m[2]
		if err = a.server(m[1]); err == nil {
			err = a.pairs(m[3])
		}
	case strings.HasPrefix(lower, "sqlserver://"), strings.HasPrefix(lower, "mssql://"):
		err = a.url(dsn)
	case strings.Contains(dsn, "="):
		err = a.pairs(dsn)
	default:
		err = fmt.Errorf("is no address of a SQL Server: write it as %s", sqlserverForm)
	}
	if err != nil {
		return nil, err
	}
	return a.config()
}

func (s *sqlserverParts) url(dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil || !sqlserverInstance.MatchString(u.Path) || u.Fragment != "" || passwordMayGoOn(u) {
		return fmt.Errorf(`is no URL: a "/", "?", "#", "@" or "%%" of the password, or an "@" of a parameter, is written %%2F, %%3F, %%23, %%40, %%25 (%s)`, sqlserverForm)
	}
	s.user = u.User.Username()
	s.password, _ = u.User.Password()
	if err := s.server(u.Host); err != nil {
		return err
	}
	s.instance = strings.Trim(u.Path, "/")
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New(`holds a parameter with a "%" that begins no escape: it is written %25`)
	}
	for name, list := range values {
		if err := s.set(name, list[0]); err != nil {
			return err
		}
	}
	return nil
}

// pairs reads name=value;name=value, where a value with a semicolon stands in quotation marks or braces.
func (s *sqlserverParts) pairs(text string) error {
	for text = strings.TrimLeft(text, "; \t"); text != ""; text = strings.TrimLeft(text, "; \t") {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf(`has a part without "=": a ";" of the password wants quotation marks around it (%s)`, sqlserverForm)
		}
		rest = strings.TrimLeft(rest, " \t")
		var value string
		if closing := map[byte]string{'"': `"`, '\'': "'", '{': "}"}[firstByte(rest)]; closing != "" {
			value, rest, ok = cutQuoted(rest[1:], closing)
			if rest = strings.TrimLeft(rest, " \t"); !ok || rest != "" && rest[0] != ';' {
				return errors.New("has a value whose quotation mark or brace is not closed, or has something behind it")
			}
		} else {
			value, rest, _ = strings.Cut(rest, ";")
			value = strings.TrimSpace(value)
		}
		if err := s.set(strings.TrimSpace(name), value); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

func firstByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

// cutQuoted cuts behind the closing mark; a doubled one is a part of the value.
func cutQuoted(s, closing string) (value, rest string, ok bool) {
	for {
		part, after, found := strings.Cut(s, closing)
		if value += part; !found {
			return "", "", false
		}
		if !strings.HasPrefix(after, closing) {
			return value, after, true
		}
		value, s = value+closing, after[len(closing):]
	}
}

// sqlserverParameters are those that the administrator decides, by the names that ADO, JDBC and the driver have for them.
var sqlserverParameters = map[string]string{
	"encrypt": "encrypt", "ssl": "encrypt", "trustservercertificate": "trustservercertificate", "trust server certificate": "trustservercertificate",
	"hostnameincertificate": "hostnameincertificate", "certificate": "certificate", "servercertificate": "servercertificate", "tlsmin": "tlsmin",
	"multisubnetfailover": "multisubnetfailover", "applicationintent": "", "failoverpartner": "failoverpartner", "failover partner": "failoverpartner",
}

// encryptions are the values of encrypt, jTDS' ssl among them.
var encryptions = map[string]string{
	"true": "true", "yes": "true", "mandatory": "true", "require": "true", "authenticate": "true", "strict": "strict",
	"false": "false", "no": "false", "optional": "false", "request": "false", "disable": "disable", "off": "disable",
}

func (s *sqlserverParts) set(name, value string) error {
	switch name = strings.ToLower(name); name {
	case "server", "data source", "addr", "address", "network address", "servername":
		return s.server(value)
	case "port", "portnumber":
		s.port = value
	case "instancename", "instance":
		s.instance = value
	case "database", "initial catalog", "databasename":
		s.database = value
	case "user id", "uid", "user", "username":
		s.user = value
	case "password", "pwd":
		s.password = value
	case "integrated security", "trusted_connection", "integratedsecurity":
		if v := strings.ToLower(value); v == "true" || v == "yes" || v == "sspi" {
			return fmt.Errorf("asks for the login of Windows, which tlim has not: give a login of SQL Server, as %s", sqlserverForm)
		}
	default:
		known, ours := sqlserverParameters[name]
		if !ours || known == "" {
			return nil // time-outs, languages, sizes: tlim has its own, or they mean nothing to it
		}
		if known == "encrypt" {
			if value = encryptions[strings.ToLower(value)]; value == "" {
				return errors.New("has a value of encrypt that is not known: use true, false, strict or disable")
			}
		}
		s.params.Set(known, value)
	}
	return nil
}

// server reads host, instance and port.
func (s *sqlserverParts) server(text string) error {
	m := sqlserverHost.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return errors.New("has something else than host and port in its address, like db.example.com:1433")
	}
	if s.host = strings.Trim(m[1], "[]"); s.host == "." || strings.EqualFold(s.host, "(local)") || s.host == "" {
		s.host = "localhost"
	}
	if m[2] != "" {
		s.instance = m[2]
	}
	if m[3] != "" {
		s.port = m[3]
	}
	return nil
}

// config checks the parts and makes the driver's configuration of them.
func (s *sqlserverParts) config() (*msdsn.Config, error) {
	switch {
	case s.host == "":
		return nil, fmt.Errorf("names no server (expected %s)", sqlserverForm)
	case s.database == "":
		return nil, fmt.Errorf("names no database (expected %s)", sqlserverForm)
	case !databaseName.MatchString(s.database):
		return nil, fmt.Errorf("has a name of a database that none has (expected %s)", sqlserverForm)
	case s.user == "":
		return nil, fmt.Errorf("names no user; openfire.xml has username and password beside serverURL: write it as %s", sqlserverForm)
	}
	u := url.URL{Scheme: "sqlserver", Host: s.host, Path: s.instance}
	if strings.Contains(s.host, ":") {
		u.Host = "[" + s.host + "]"
	}
	if s.port != "" {
		if n, err := strconv.Atoi(s.port); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("has a port that is no number from 1 to 65535")
		}
		u.Host = net.JoinHostPort(s.host, s.port)
	}
	for name, value := range s.params {
		u.RawQuery = url.Values{name: value}.Encode()
		if _, err := msdsn.Parse(u.String()); err != nil {
			return nil, fmt.Errorf("has a parameter %s with a value that it does not take", name)
		}
	}
	u.RawQuery = s.params.Encode()
	c, err := msdsn.Parse(u.String())
	if err != nil {
		return nil, fmt.Errorf("is no address of a SQL Server: write it as %s", sqlserverForm)
	}
	c.User, c.Password, c.Database = s.user, s.password, s.database
	return &c, nil
}

// maskSQLServer shows an address without password and parameters.
func maskSQLServer(dsn string) (shown string, ok bool) {
	if !sqlserverServer.MatchString(dsn) {
		return "", false
	}
	c, err := sqlserverAddress(dsn)
	if err != nil {
		return "", false
	}
	user := maskUser(c.User)
	if c.Password != "" {
		user += ":" + Mask
	}
	host := c.Host
	if c.Port != 0 {
		host = net.JoinHostPort(c.Host, strconv.FormatUint(c.Port, 10))
	}
	if c.Instance != "" {
		host += "/" + c.Instance
	}
	return "sqlserver://" + user + "@" + host + "?database=" + c.Database, true
}
