package store

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/sijms/go-ora/v2/configurations"
)

// oracleForm is what errors name as the right form.
const oracleForm = "oracle://user:password@host:1521/service"

var oracleServer = regexp.MustCompile(`(?i)^jdbc:oracle:|^oracle://`)

var (
	oracleJDBC       = regexp.MustCompile(`(?is)^jdbc:oracle:(?:thin|oci8?):(.*)$`)
	oracleHost       = regexp.MustCompile(`^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]+))?$`)
	oracleName       = regexp.MustCompile(`^[A-Za-z0-9._$#-]+$`)
	oracleEasy       = regexp.MustCompile(`^(?://)?([^/]+)/([A-Za-z0-9._$#-]+)(?i::(?:shared|dedicated|pooled))?$`)
	oracleSID        = regexp.MustCompile(`^(.+):([0-9]+):([A-Za-z0-9._$#-]+?)(?i::(?:shared|dedicated|pooled))?$`)
	oracleDescriptor = regexp.MustCompile(`(?is)^\(\s*DESCRIPTION\s*=[A-Za-z0-9_.=():/,"$#\s-]*\)$`)
	oracleLogin      = regexp.MustCompile(`(?i)\(\s*(USER|PASSWORD|PWD)\s*=`)
)

// oracleParts is an address taken apart.
type oracleParts struct {
	user, password string
	host, port     string
	service, sid   string
	descriptor     string
	params         url.Values // for the driver
}

// oracleAddress reads an Oracle server's address: a URL, the form of JDBC, or that of sqlplus, each with a service, a SID or a descriptor.
func oracleAddress(dsn string) (*configurations.ConnectionConfig, error) {
	if err := checkForm("oracle", dsn); err != nil {
		return nil, err
	}
	a := oracleParts{params: url.Values{}}
	var err error
	switch m := oracleJDBC.FindStringSubmatch(dsn); {
	case m != nil:
		err = a.login(m[1])
	case strings.HasPrefix(strings.ToLower(dsn), "oracle://"):
		err = a.url(dsn)
	default:
		err = a.login(dsn)
	}
	if err != nil {
		return nil, err
	}
	return a.config()
}

func (o *oracleParts) url(dsn string) error {
	u, err := url.Parse(dsn)
	if err != nil || u.Fragment != "" || passwordMayGoOn(u) {
		return fmt.Errorf(`is no URL: a "/", "?", "#", "@" or "%%" of the password, or an "@" of a parameter, is written %%2F, %%3F, %%23, %%40, %%25 (%s)`, oracleForm)
	}
	o.user = u.User.Username()
	o.password, _ = u.User.Password()
	o.service = strings.Trim(u.Path, "/")
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New(`holds a parameter with a "%" that begins no escape: it is written %25`)
	}
	for name, list := range values {
		o.set(name, list)
	}
	if o.descriptor != "" {
		return nil
	}
	return o.server(u.Host)
}

// set takes a parameter. Those that tlim decides itself, time-outs, sizes and traces, are left out.
func (o *oracleParts) set(name string, values []string) {
	switch name = strings.ToUpper(name); name {
	case "CONNSTR":
		o.descriptor = values[0]
	case "SID":
		o.sid = values[0]
	case "SERVICE NAME":
		o.service = values[0]
	case "SSL", "SSL VERIFY", "WALLET", "WALLET PASSWORD", "SERVER", "INSTANCE NAME", "ENCRYPTION", "DATA INTEGRITY":
		o.params[name] = values
	}
}

// login reads user/password@server, where the password may hold an "@" too.
func (o *oracleParts) login(text string) error {
	at := strings.LastIndex(text, "@")
	if open := strings.Index(text, "@("); open >= 0 { // a descriptor, which has no "@"
		at = open + strings.LastIndex(text[open:], "@(")
	}
	if at < 0 {
		return fmt.Errorf("is no address of an Oracle server: write it as %s", oracleForm)
	}
	o.user, o.password, _ = strings.Cut(text[:at], "/")
	if len(o.password) > 1 && strings.HasPrefix(o.password, `"`) && strings.HasSuffix(o.password, `"`) {
		o.password = o.password[1 : len(o.password)-1]
	}
	target := strings.TrimSpace(text[at+1:])
	if strings.HasPrefix(target, "(") {
		o.descriptor = target
		return nil
	}
	if m := oracleSID.FindStringSubmatch(target); m != nil {
		o.sid = m[3]
		return o.server(m[1] + ":" + m[2])
	}
	if m := oracleEasy.FindStringSubmatch(target); m != nil {
		o.service = m[2]
		return o.server(m[1])
	}
	return fmt.Errorf("names its server neither by host:1521/service nor by host:1521:SID nor by (DESCRIPTION=…); names of tnsnames.ora are not looked up: write it as %s", oracleForm)
}

func (o *oracleParts) server(text string) error {
	m := oracleHost.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("has something else than host and port in its address (expected %s)", oracleForm)
	}
	o.host, o.port = strings.Trim(m[1], "[]"), cmp.Or(m[2], "1521")
	if n, err := strconv.Atoi(o.port); err != nil || n < 1 || n > 65535 {
		return errors.New("has a port that is no number from 1 to 65535")
	}
	return nil
}

// config checks the parts and makes the driver's configuration of them.
func (o *oracleParts) config() (*configurations.ConnectionConfig, error) {
	u := url.URL{Scheme: "oracle", Host: ":0", Path: "/"}
	switch {
	case o.descriptor != "" && (!oracleDescriptor.MatchString(o.descriptor) || strings.Count(o.descriptor, "(") != strings.Count(o.descriptor, ")")):
		return nil, errors.New("has a descriptor that is not whole: it begins with (DESCRIPTION= and has as many ( as )")
	case oracleLogin.MatchString(o.descriptor):
		return nil, errors.New("has a user or a password in its descriptor: write them in front of it, as oracle://user:password@:0/?connStr=(DESCRIPTION=…)")
	case o.user == "":
		return nil, fmt.Errorf("names no user; openfire.xml has username and password beside serverURL: write it as %s", oracleForm)
	case o.password == "":
		return nil, fmt.Errorf("has no password (expected %s)", oracleForm)
	case o.descriptor != "":
		o.params.Set("connStr", strings.Join(strings.Fields(o.descriptor), ""))
	case o.sid == "" && o.service == "":
		return nil, fmt.Errorf("names neither a service nor a SID (expected %s, or oracle://user:password@host:1521/?SID=name)", oracleForm)
	case !oracleName.MatchString(o.sid + o.service):
		return nil, fmt.Errorf("has a name of a service or a SID that none has (expected %s)", oracleForm)
	default:
		u.Host = net.JoinHostPort(o.host, o.port)
		u.Path = "/" + o.service
		if o.sid != "" {
			u.Path = "/"
			o.params.Set("SID", o.sid)
		}
	}
	u.RawQuery = o.params.Encode()
	// The driver sees no login here, so it cannot say one; what it says holds parts of the parameters.
	c, err := configurations.ParseConfig(u.String())
	if err != nil {
		if o.descriptor != "" {
			return nil, errors.New("has a descriptor in which no (ADDRESS=(PROTOCOL=tcp)(HOST=host)(PORT=1521)) and no (SERVICE_NAME=name) or (SID=name) is found")
		}
		return nil, fmt.Errorf("has a parameter with a value that it does not take (SSL, WALLET, SERVER, ENCRYPTION or DATA INTEGRITY; expected %s)", oracleForm)
	}
	c.UserID, c.Password, c.AuthType = o.user, o.password, configurations.Normal
	return c, nil
}

// maskOracle shows an address without password and parameters.
func maskOracle(dsn string) (shown string, ok bool) {
	if !oracleServer.MatchString(dsn) {
		return "", false
	}
	c, err := oracleAddress(dsn)
	if err != nil {
		return "", false
	}
	shown = "oracle://" + maskUser(c.UserID) + ":" + Mask + "@" + c.Servers[0].NetworkAddr() + "/"
	if c.SID != "" {
		return shown + "?SID=" + c.SID, true
	}
	return shown + c.ServiceName, true
}
