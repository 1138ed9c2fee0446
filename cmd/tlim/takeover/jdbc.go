package takeover

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"tlim/store"
)

// This file turns JDBC URLs into the addresses that tlim's engines take. A URL can hold a password: no error and no note quotes
// more of one than names that cannot be one.

// place is where a database is.
type place struct {
	engine         string
	user, password string                             // that the URL names
	address        func(user, password string) string // as store.dsn has it; nil: of an engine that keeps a file
	notes          []string                           // what of the URL is otherwise, and why
	todo           []string                           // what an administrator has to see to before tlim runs as Openfire does
	foreign        string                             // how the URL logs in, where tlim cannot: the user of the URL is of no use
}

// javaStores are parameters that name keys, certificates or their passwords for Java.
var javaStores = regexp.MustCompile(`(?i)keystore|truststore|sslcert|clientcert|clientkey|serverrsapublickeyfile|servercertificate|hostnameincertificate`)

// dottedParam are names of the drivers' and Java's own properties, which can stand in a URL too.
var dottedParam = regexp.MustCompile(`^[A-Za-z_]{2,20}(?:\.[A-Za-z_][A-Za-z0-9_]{0,40}){1,6}$`)

// unnamed stands for parameters whose names may be pieces of a password.
const unnamed = "one or more whose names are no plain words"

// dropped is how a parameter that is not taken is named, in a list without doubles.
func dropped(list []string, name string, valued bool) []string {
	if !plainParam.MatchString(name) && (!valued || !dottedParam.MatchString(name)) {
		name = unnamed
	}
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}

// drop names parameters that are not taken.
func (p *place) drop(names []string, why string) {
	if len(names) == 0 {
		return
	}
	p.notes = append(p.notes, "dropped of serverURL, because "+why+": "+strings.Join(names, ", "))
	if keys := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !javaStores.MatchString(name) }); len(keys) > 0 {
		p.todo = append(p.todo, "serverURL names keys or certificates for Java, which tlim does not read ("+strings.Join(keys, ", ")+"): make the authority of the database's certificate known to this system")
	}
}

// jdbcKinds read the URLs of one engine each; ok is false for others.
var jdbcKinds = []func(text string) (p *place, ok bool, err error){mysqlPlace, oraclePlace, sqlserverPlace, embeddedPlace}

// subprotocol is the kind of database in a JDBC URL.
var subprotocol = regexp.MustCompile(`(?i)^jdbc:([a-z0-9]{1,20}):`)

func placeOf(text string) (*place, error) {
	text = strings.ReplaceAll(text, "&amp;", "&") // escaped twice
	for _, read := range jdbcKinds {
		if p, ok, err := read(text); ok || err != nil {
			return p, err
		}
	}
	if m := subprotocol.FindStringSubmatch(text); m != nil {
		return nil, fmt.Errorf("is of a database called %s, which tlim does not have: it has MySQL, MariaDB, SQL Server, Oracle and SQLite", strings.ToLower(m[1]))
	}
	return nil, errors.New("is no JDBC URL, like jdbc:mysql://host:3306/database")
}

var (
	mysqlStart = regexp.MustCompile(`(?i)^jdbc:(mysql|mariadb)[:+]`)
	mysqlJDBC  = regexp.MustCompile(`(?is)^jdbc:(?:mysql|mariadb):(?:([a-z]+):)?//([^?]*?)(?:/([^/?]*))?(?:\?(.*))?$`)
	mysqlHost  = regexp.MustCompile(`(?i)[(,]\s*host\s*=\s*([^(),]+)`)
	mysqlPort  = regexp.MustCompile(`(?i)[(,]\s*port\s*=\s*([0-9]+)`)
	mysqlTLS   = []string{"sslmode", "usessl", "requiressl"}
	plainParam = regexp.MustCompile(`^[A-Za-z_]{1,40}$`)
)

func mysqlPlace(text string) (*place, bool, error) {
	if !mysqlStart.MatchString(text) {
		return nil, false, nil
	}
	m := mysqlJDBC.FindStringSubmatch(text)
	if m == nil {
		return nil, true, errors.New("is no URL like jdbc:mysql://host:3306/database")
	}
	if m[3] == "" {
		return nil, true, errors.New("names no database, as in jdbc:mysql://host:3306/database")
	}
	if !databaseForm.MatchString(m[3]) {
		return nil, true, errors.New(`has a name of a database that none has: the parameters stand behind a "?"`)
	}
	p := &place{engine: "mysql"}
	servers := m[2]
	if at := strings.LastIndexByte(servers, '@'); at >= 0 {
		user, password, _ := strings.Cut(servers[:at], ":")
		p.user, p.password, servers = unescaped(user), unescaped(password), servers[at+1:]
	}
	list := topLevel(servers)
	host, err := mysqlServer(list[0])
	if err != nil {
		return nil, true, err
	}
	if n := len(list); n > 1 {
		p.todo = append(p.todo, fmt.Sprintf("serverURL names %d servers, and store.dsn has the first: tlim connects to one. For fail-over write a virtual address or a proxy there", n))
	} else if m[1] != "" {
		p.notes = append(p.notes, "tlim connects to one server: how serverURL chooses among several is dropped")
	}
	var kept, left []string
	for pair := range strings.SplitSeq(m[4], "&") {
		name, value, valued := strings.Cut(pair, "=")
		switch lower := strings.ToLower(name); {
		case pair == "":
		case lower == "user":
			p.user = unescaped(value)
		case lower == "password":
			p.password = unescaped(value)
		case slices.Contains(mysqlTLS, lower) && store.CheckDSN("mysql", "u@tcp(h)/d?"+pair) == nil:
			kept = append(kept, pair)
		default:
			left = dropped(left, name, valued)
		}
	}
	p.drop(left, "tlim sets character set, time-outs and the like itself")
	tail := "/" + m[3]
	if len(kept) > 0 {
		tail += "?" + strings.Join(kept, "&")
	}
	p.address = func(user, password string) string {
		if strings.Contains(user, ":") {
			return "mysql://" + url.UserPassword(user, password).String() + "@" + host + tail
		}
		if password != "" {
			user += ":" + password
		}
		return user + "@tcp(" + host + ")" + tail
	}
	return p, true, nil
}

// topLevel cuts at the commas that stand in no bracket.
func topLevel(text string) (parts []string) {
	depth, start := 0, 0
	for i, c := range text {
		switch {
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	return append(parts, text[start:])
}

// mysqlServer reads host, host:port, [v6]:port and the drivers' own address=(host=…)(port=…).
func mysqlServer(text string) (string, error) {
	host, port := "", ""
	if strings.Contains(text, "(") {
		if m := mysqlHost.FindStringSubmatch(text); m != nil {
			host = strings.Trim(strings.TrimSpace(m[1]), "[]")
		}
		if m := mysqlPort.FindStringSubmatch(text); m != nil {
			port = m[1]
		}
		if host == "" {
			return "", errors.New("names a server otherwise than by host and port")
		}
		return server(host, port, "3306")
	}
	host, port, err := hostPort(text)
	if err != nil {
		return "", err
	}
	return server(cmp.Or(host, "localhost"), port, "3306")
}

// hostPort parts a host from its port, which may lack.
func hostPort(text string) (host, port string, err error) {
	text = strings.TrimSpace(text)
	if net.ParseIP(text) != nil { // also an IPv6 address without brackets
		return text, "", nil
	}
	m := hostPortForm.FindStringSubmatch(text)
	if m == nil {
		return "", "", errors.New("has something else than host and port where the server stands")
	}
	return strings.Trim(m[1], "[]"), m[2], nil
}

var (
	hostPortForm = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::([0-9]{1,5}))?$`)
	databaseForm = regexp.MustCompile(`^[^;&=@:]*$`)
	hostForm     = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
)

// server joins host and port.
func server(host, port, usual string) (string, error) {
	if !hostForm.MatchString(host) && net.ParseIP(host) == nil {
		return "", errors.New("has something else than host and port where the server stands")
	}
	return net.JoinHostPort(host, cmp.Or(port, usual)), nil
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

var (
	oracleJDBC    = regexp.MustCompile(`(?is)^jdbc:oracle:(thin|oci8?):(?:([^/@]*)/(.*))?@(.+)$`)
	oracleService = regexp.MustCompile(`^(?://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/([A-Za-z0-9._$#-]+)(?::[A-Za-z]+)?(?:/[A-Za-z0-9._$#-]+)?$`)
	oracleSID     = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5}):([A-Za-z0-9._$#-]+?)(?i::(?:shared|dedicated|pooled))?$`)
)

func oraclePlace(text string) (*place, bool, error) {
	if !strings.HasPrefix(strings.ToLower(text), "jdbc:oracle:") {
		return nil, false, nil
	}
	m := oracleJDBC.FindStringSubmatch(text)
	if m == nil {
		return nil, true, errors.New("is no URL like jdbc:oracle:thin:@host:1521:SID or jdbc:oracle:thin:@//host:1521/service")
	}
	p := &place{engine: "oracle", user: m[2], password: strings.Trim(m[3], `"`)}
	if !strings.EqualFold(m[1], "thin") {
		p.notes = append(p.notes, "serverURL is of Oracle's OCI driver; tlim needs no client of Oracle's")
	}
	address := func(rest string) func(user, password string) string {
		return func(user, password string) string {
			return "oracle://" + url.UserPassword(user, password).String() + "@" + rest
		}
	}
	target, params, _ := strings.Cut(strings.TrimSpace(m[4]), "?")
	var left []string
	for pair := range strings.SplitSeq(params, "&") {
		if name, _, valued := strings.Cut(pair, "="); pair != "" {
			left = dropped(left, name, valued)
		}
	}
	p.drop(left, "it is the Java driver's")
	switch {
	case strings.HasPrefix(target, "("):
		flat := strings.Join(strings.Fields(target), "")
		if strings.Count(flat, "(") != strings.Count(flat, ")") || !strings.HasPrefix(strings.ToUpper(flat), "(DESCRIPTION") {
			return nil, true, errors.New("has a descriptor that is not whole: it begins with (DESCRIPTION= and has as many ( as )")
		}
		p.address = address(":0/?connStr=" + url.QueryEscape(flat))
	case oracleSID.MatchString(target):
		m := oracleSID.FindStringSubmatch(target)
		p.address = address(m[1] + ":" + m[2] + "/?SID=" + url.QueryEscape(m[3]))
	case oracleService.MatchString(target):
		m := oracleService.FindStringSubmatch(target)
		p.address = address(m[1] + ":" + cmp.Or(m[2], "1521") + "/" + m[3])
	case strings.HasPrefix(strings.ToLower(target), "tcp"):
		return nil, true, errors.New("names its server by tcp:// or tcps://: write (DESCRIPTION=(ADDRESS=(PROTOCOL=tcps)(HOST=host)(PORT=2484))(CONNECT_DATA=(SERVICE_NAME=service))) there, " +
			"with tcp and 1521 where it has no TLS, in a copy of the file")
	case strings.HasPrefix(strings.ToLower(target), "ldap"):
		return nil, true, errors.New("looks its server up in a directory (LDAP), which tlim does not: write host, port and service there, in a copy of the file")
	case hostForm.MatchString(target):
		return nil, true, errors.New("names its server by an entry of tnsnames.ora, which tlim does not read: write what stands behind its = there, (DESCRIPTION=…), in a copy of the file")
	default:
		return nil, true, errors.New("has no server that is known: write it as host:1521:SID, //host:1521/service or (DESCRIPTION=…), in a copy of the file")
	}
	return p, true, nil
}

var (
	sqlserverStart = regexp.MustCompile(`(?i)^jdbc:(jtds:|microsoft:)?sqlserver:`)
	jtdsJDBC       = regexp.MustCompile(`(?is)^jdbc:jtds:sqlserver://([^/;]*)(?:/([^;]*))?(?:;(.*))?$`)
	microsoftJDBC  = regexp.MustCompile(`(?is)^jdbc:(?:microsoft:)?sqlserver://([^;]*?)/?(?:;(.*))?$`)
)

func sqlserverPlace(text string) (*place, bool, error) {
	s := sqlserver{}
	p := &place{engine: "sqlserver"}
	var err error
	if m := jtdsJDBC.FindStringSubmatch(text); m != nil {
		s.database = m[2]
		if s.host, s.port, err = hostPort(m[1]); err == nil {
			s.pairs(p, strings.Split(m[3], ";"))
		}
	} else if m := microsoftJDBC.FindStringSubmatch(text); m != nil {
		named := m[1]
		if host, instance, ok := strings.Cut(m[1], `\`); ok {
			instance, port, _ := strings.Cut(instance, ":")
			named, s.instance = host+portOf(port), instance
		}
		if s.host, s.port, err = hostPort(named); err == nil {
			s.pairs(p, braced(m[2]))
		}
	} else if sqlserverStart.MatchString(text) {
		err = errors.New("is no URL like jdbc:sqlserver://host:1433;databaseName=name or jdbc:jtds:sqlserver://host:1433/name")
	} else {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	if !databaseForm.MatchString(s.instance) {
		return nil, true, errors.New(`has a name of an instance that none has: the parameters stand behind a ";"`)
	}
	if s.database == "" {
		return nil, true, errors.New("names no database: write ;databaseName= and its name behind it, in a copy of the file")
	}
	at := cmp.Or(s.host, "localhost")
	if strings.Contains(at, ":") {
		at = "[" + at + "]"
	}
	if s.port == "" && s.instance == "" { // the port of an instance is asked of the server
		s.port = "1433"
	}
	at += portOf(s.port)
	p.address = func(user, password string) string {
		u := url.URL{Scheme: "sqlserver", User: url.UserPassword(user, password), Host: at, Path: s.instance, RawQuery: s.query()}
		return u.String()
	}
	return p, true, nil
}

func portOf(port string) string {
	if port == "" {
		return ""
	}
	return ":" + port
}

// sqlserver is an address taken apart.
type sqlserver struct {
	host, port, instance, database string
	encrypt, trust                 string
}

func (s *sqlserver) query() string {
	q := url.Values{}
	for name, value := range map[string]string{"database": s.database, "encrypt": s.encrypt, "trustservercertificate": s.trust} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q.Encode()
}

// truth is what both drivers have for yes and no.
var truth = regexp.MustCompile(`(?i)^(true|false|yes|no|strict|optional|mandatory)$`)

// pairs sorts name=value pairs of both drivers.
func (s *sqlserver) pairs(p *place, list []string) {
	var left []string
	for _, pair := range list {
		name, value, valued := strings.Cut(pair, "=")
		name, value = trimmed(name), strings.Trim(value, " \t\r\n")
		switch lower := strings.ToLower(name); lower {
		case "":
		case "databasename", "database":
			s.database = value
		case "instancename", "instance":
			s.instance = value
		case "port", "portnumber":
			s.port = value
		case "servername", "server":
			s.host = value
		case "user", "username", "userid":
			p.user = value
		case "password":
			p.password = value
		case "integratedsecurity":
			if !strings.EqualFold(value, "false") {
				p.foreign = "by Windows"
			}
		case "authenticationscheme", "usentlmv2": // they say how integratedSecurity and domain log in
		case "domain": // of jTDS
			if value != "" {
				p.foreign = "by Windows"
			}
		case "authentication":
			if !strings.EqualFold(value, "SqlPassword") && !strings.EqualFold(value, "NotSpecified") {
				p.foreign = "by a directory (the parameter authentication)"
			}
		case "accesstoken", "accesstokencallbackclass":
			p.foreign = "by a token"
		case "failoverpartner":
			p.todo = append(p.todo, "serverURL names a fail-over partner, and store.dsn has the server alone: tlim connects to one. For fail-over write the listener's name or a virtual address there")
		case "encrypt":
			if truth.MatchString(value) {
				s.encrypt = strings.ToLower(value)
			}
		case "trustservercertificate":
			if truth.MatchString(value) {
				s.trust = strings.ToLower(value)
			}
		case "ssl": // of jTDS; require checks no certificate
			switch strings.ToLower(value) {
			case "require":
				s.encrypt, s.trust = "true", "true"
			case "authenticate":
				s.encrypt = "true"
			}
		default:
			left = dropped(left, name, valued)
		}
	}
	p.drop(left, "it is the Java driver's")
}

// braced cuts at semicolons; a value that has one stands in braces, in which }} is a brace.
func braced(text string) (pairs []string) {
	for text != "" {
		name, rest, _ := strings.Cut(text, "=")
		if strings.Contains(name, ";") || !strings.HasPrefix(rest, "{") {
			pair, after, _ := strings.Cut(text, ";")
			pairs, text = append(pairs, pair), after
			continue
		}
		value := ""
		for rest = rest[1:]; ; {
			part, after, closed := strings.Cut(rest, "}")
			value, rest = value+part, after
			if !closed || !strings.HasPrefix(rest, "}") {
				break
			}
			value, rest = value+"}", rest[1:]
		}
		pairs, text = append(pairs, name+"="+value), strings.TrimPrefix(rest, ";")
	}
	return pairs
}

// embedded is Openfire's own database, which no other process can read while Openfire runs.
const embedded = "Openfire has its embedded database (HSQLDB), which no other process can read: tlim stores in a SQLite file of its own. What the plugin stored is not seen by tlim; " +
	"to keep it, move Openfire to MySQL first and import again"

func embeddedPlace(text string) (*place, bool, error) {
	if !strings.HasPrefix(strings.ToLower(text), "jdbc:hsqldb:") {
		return nil, false, nil
	}
	return &place{engine: "sqlite", notes: []string{embedded}}, true, nil
}
