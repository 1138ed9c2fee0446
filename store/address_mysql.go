package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// mysqlForm is what errors name as the right form.
const mysqlForm = "user:password@tcp(host:3306)/database"

var mysqlServer = regexp.MustCompile(`(?i)^jdbc:(mysql|mariadb):|^(mysql|mariadb)://|(^|@)(tcp|unix)\(`)

// A MySQL address in the form of the Go driver, and as a URL, of which that of JDBC is one. In the first the address in
// parentheses ends what may be a part of the password; in the second a "/" of the password has to be escaped.
var (
	mysqlNative = regexp.MustCompile(`(?s)^(?:(.*)@)?(?:(\w+)\(([^()]*)\)|(tcp|unix|))/([^/?]*)(?:\?(.*))?$`)
	mysqlURL    = regexp.MustCompile(`(?is)^(?:jdbc:)?(?:mysql|mariadb):(?:([a-z]+):)?//(?:([^/?]*)@)?([^/@?]*)/([^/?]*)(?:\?(.*))?$`)
)

var errMySQLURL = fmt.Errorf(`is no URL like mysql://user:password@host:3306/database: it names no database, or the password holds a "/" or a "?", or a parameter an "@", written %%2F, %%3F and %%40; better write it as %s`, mysqlForm)

// mysqlTarget is where a MySQL address leads. Of several nodes of a cluster, Addr is the first.
type mysqlTarget struct {
	*mysql.Config
	nodes []string
}

// mysqlAddress reads a MySQL address.
func mysqlAddress(dsn string) (*mysqlTarget, error) {
	if err := checkForm("mysql", dsn); err != nil {
		return nil, err
	}
	a := mysqlParts{network: "tcp", params: url.Values{}}
	var params string
	if m := mysqlURL.FindStringSubmatch(dsn); m != nil {
		if m[1] != "" || strings.ContainsAny(m[3], "()") {
			return nil, fmt.Errorf("names a way to choose one of several servers: give the nodes of a cluster as user:password@tcp(a:3306,b:3306)/database, or one server, as %s", mysqlForm)
		}
		if m[2] != "" && strings.Contains(m[5], "@") { // as passwordMayGoOn
			return nil, errMySQLURL
		}
		user, password, secret := strings.Cut(m[2], ":")
		a.user, a.password, a.address, a.database, params = user, password, m[3], m[4], m[5]
		var errUser, errPassword error
		a.user, errUser = url.PathUnescape(user)
		if a.password, errPassword = url.PathUnescape(password); secret && errPassword != nil || errUser != nil {
			return nil, errors.New(`holds a "%" that begins no escape before the "@": in a URL it is written %25`)
		}
		if a.url = true; len(dsn) > 5 && strings.EqualFold(dsn[:5], "jdbc:") {
			params = strings.ReplaceAll(params, "&amp;", "&") // copied out of openfire.xml
		}
	} else if m := mysqlNative.FindStringSubmatch(dsn); m != nil {
		a.user, a.password, _ = strings.Cut(m[1], ":")
		a.address, a.database, params = m[3], m[5], m[6]
		if name := m[2] + m[4]; name != "" {
			a.network = name
		}
	} else if severalAddresses.MatchString(dsn) {
		return nil, errors.New("has more than one tcp(…) or unix(…): the nodes of a cluster stand in one, as tcp(a:3306,b:3306), and a socket stands alone")
	} else if slices.ContainsFunc([]string{"mysql:", "mariadb:", "jdbc:"}, func(p string) bool { return strings.HasPrefix(strings.ToLower(dsn), p) }) {
		return nil, errMySQLURL
	} else if strings.Contains(dsn, "@") && !strings.Contains(dsn, "(") {
		return nil, fmt.Errorf("has no tcp(…) around host and port: write it as %s", mysqlForm)
	} else {
		return nil, fmt.Errorf("is no address of a MySQL server: write it as %s", mysqlForm)
	}
	if err := a.read(params); err != nil {
		return nil, err
	}
	return a.config()
}

// mysqlParts is an address taken apart.
type mysqlParts struct {
	user, password, network, address, database string
	url                                        bool
	params                                     url.Values // for the driver
}

var (
	hostAndPort  = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::([0-9]+))?$`)
	jdbcName     = regexp.MustCompile(`^[a-z]+[A-Z][A-Za-z0-9]*$`)
	variableName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// Several addresses side by side, each with parentheses of its own.
	severalAddresses = regexp.MustCompile(`\)\s*,\s*(tcp|unix)?\(`)
	joined           = regexp.MustCompile(`[/;=,|：；＝，＠\s]`)
	variable         = regexp.MustCompile(`^('[\w.:,+ -]*'|[\w.:,+-]*)$`)
)

// driverParameters are those that the administrator decides; the rest of the driver's own is set by tlim.
var driverParameters = []string{"tls", "maxAllowedPacket", "allowCleartextPasswords", "allowNativePasswords", "allowOldPasswords",
	"allowFallbackToPlaintext", "checkConnLiveness", "compress", "connectionAttributes"}

// setByUs are the driver's own parameters that say nothing here: tlim sets what they would.
var setByUs = []string{"charset", "collation", "loc", "timeout", "strict"}

// read sorts the parameters. Those of JDBC have capital letters; what they say besides user, password and TLS is set by tlim
// or means nothing to it.
func (m *mysqlParts) read(text string) error {
	for pair := range strings.SplitSeq(text, "&") {
		name, raw, _ := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		switch {
		case pair == "":
		case err != nil:
			return errors.New(`holds a parameter with a "%" that begins no escape: it is written %25`)
		case m.url && strings.EqualFold(name, "user"):
			m.user = value
		case m.url && strings.EqualFold(name, "password"):
			m.password = value
		case strings.EqualFold(name, "sslMode"), strings.EqualFold(name, "useSSL"), strings.EqualFold(name, "requireSSL"):
			mode, known := tlsOfJDBC[strings.ToLower(value)]
			if !known {
				return errors.New("has a value of sslMode or useSSL that is not known: use VERIFY_IDENTITY, REQUIRED, PREFERRED or DISABLED")
			}
			if m.params.Get("tls") == "" || strings.EqualFold(name, "sslMode") {
				m.params.Set("tls", mode)
			}
		case slices.Contains(driverParameters, name):
			m.params.Set(name, value)
		case slices.Contains(setByUs, name), jdbcName.MatchString(name), m.url:
		case strings.EqualFold(name, "user"), strings.EqualFold(name, "password"):
			return fmt.Errorf("has user or password as a parameter: they stand in front, as %s", mysqlForm)
		case !variableName.MatchString(name) || !variable.MatchString(value):
			return errors.New("has a parameter that is neither one of the driver nor a session variable with a number, a word or a 'quoted' value; " +
				`a "/" of the database's name is written %2F`)
		default:
			m.params.Set(name, value)
		}
	}
	return nil
}

// tlsOfJDBC maps what Connector/J and MariaDB's driver call the ways of TLS.
var tlsOfJDBC = map[string]string{
	"disabled": "false", "disable": "false", "false": "false", "preferred": "preferred",
	"required": "skip-verify", "trust": "skip-verify", "true": "skip-verify",
	"verify_ca": "true", "verify-ca": "true", "verify_identity": "true", "verify-full": "true",
}

// config checks each part and makes the driver's configuration of them.
func (m *mysqlParts) config() (*mysqlTarget, error) {
	nodes := []string{}
	switch m.network {
	case "tcp":
		var err error
		if nodes, err = mysqlNodesOf(m.address); err != nil {
			return nil, err
		}
		m.address = nodes[0]
	case "unix":
		if strings.Contains(m.address, ",") {
			return nil, errors.New("names several servers in unix(…): a socket stands alone, and the nodes of a cluster stand in one tcp(a:3306,b:3306)")
		}
		if m.address == "" {
			m.address = "/tmp/mysql.sock"
		}
		if !strings.HasPrefix(m.address, "/") || strings.ContainsAny(m.address, "@?") {
			return nil, errors.New("has something else than a path in unix(…), like unix(/run/mysqld/mysqld.sock)")
		}
	default:
		return nil, fmt.Errorf("has neither tcp(…) nor unix(…): write it as %s", mysqlForm)
	}
	if m.database == "" {
		return nil, fmt.Errorf("names no database (expected %s)", mysqlForm)
	}
	name, err := url.PathUnescape(m.database)
	if err != nil || !databaseName.MatchString(name) {
		return nil, fmt.Errorf("has a name of a database that none has (expected %s)", mysqlForm)
	}
	if m.url && m.user == "" {
		return nil, fmt.Errorf("names no user; openfire.xml has username and password beside serverURL: write it as %s", mysqlForm)
	}
	if m.password == "" && joined.MatchString(m.user) {
		// The server's refusal would quote the user, with the password in it.
		return nil, fmt.Errorf(`has no ":" between user and password: write it as %s`, mysqlForm)
	}
	prefix := m.network + "(" + m.address + ")/?"
	c, err := mysql.ParseDSN(prefix + m.params.Encode())
	for name := range m.params {
		if _, wrong := mysql.ParseDSN(prefix + url.Values{name: m.params[name]}.Encode()); wrong != nil {
			return nil, fmt.Errorf("has a parameter %s with a value that it does not take", name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("is no address of a MySQL server: write it as %s", mysqlForm)
	}
	c.User, c.Passwd, c.DBName = m.user, m.password, name
	return &mysqlTarget{c, nodes}, nil
}

// maxNodes bounds a list: a round of them takes its time.
const maxNodes = 16

// mysqlNodesOf reads host:port, or the nodes of a cluster with commas between them.
func mysqlNodesOf(text string) (nodes []string, err error) {
	list := strings.Split(text, ",")
	if len(list) > maxNodes {
		return nil, fmt.Errorf("names more than %d servers", maxNodes)
	}
	for _, address := range list {
		address = strings.TrimSpace(address)
		if len(list) > 1 && strings.HasPrefix(address, "/") {
			return nil, errors.New("has a socket among servers in its tcp(…): a socket stands alone, as unix(/run/mysqld/mysqld.sock)")
		}
		match := hostAndPort.FindStringSubmatch(address)
		if match == nil {
			return nil, errors.New("has something else than host and port in its address, like tcp(db.example.com:3306)")
		}
		host, port := strings.ToLower(strings.Trim(match[1], "[]")), match[2]
		switch {
		case host == "" && len(list) > 1:
			return nil, errors.New("has an empty place among the servers of its tcp(…)")
		case host == "":
			host = "127.0.0.1"
		}
		if port == "" {
			port = "3306"
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("has a port that is no number from 1 to 65535")
		}
		one := net.JoinHostPort(host, port)
		if slices.Contains(nodes, one) {
			return nil, errors.New("names a server twice in its tcp(…)")
		}
		nodes = append(nodes, one)
	}
	return nodes, nil
}

// endless finds in what stands before the last address an address of its own or parameters: nobody can tell where the password
// ends then.
var endless = regexp.MustCompile(`@(tcp|unix)?\(|[;?&]\s*[\w ]+=`)

// maskMySQL shows an address without password and parameters.
func maskMySQL(dsn string) (shown string, ok bool) {
	c, err := mysqlAddress(dsn)
	if err != nil || endless.MatchString(c.User+":"+c.Passwd) {
		return "", false
	}
	user, password := "", ""
	if c.User != "" || c.Passwd != "" {
		user = maskUser(c.User)
		if c.Passwd != "" {
			password = ":" + Mask
		}
		user += password + "@"
	}
	where := c.Addr
	if len(c.nodes) > 1 {
		where = strings.Join(c.nodes, ",")
	}
	shown = user + c.Net + "(" + where + ")/" + c.DBName
	if strings.Contains(dsn, "?") {
		shown += "?" + Mask
	}
	return shown, true
}
