package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What administrators have at hand is understood.
func TestMySQLAddresses(t *testing.T) {
	for _, c := range []struct{ dsn, want, tls string }{
		{"u:p@tcp(db:3307)/im", "u p tcp db:3307 im", ""},
		{"u:p@tcp(db)/im?charset=utf8&parseTime=true&loc=Asia/Shanghai", "u p tcp db:3306 im", ""},
		{"u:p/w@x?y:z@tcp(10.0.0.1)/im", "u p/w@x?y:z tcp 10.0.0.1:3306 im", ""},
		{"u:p w\"'%@tcp([::1]:3306)/im", "u p w\"'% tcp [::1]:3306 im", ""},
		{"u@unix(/run/mysqld.sock)/im", "u  unix /run/mysqld.sock im", ""},
		{"u:p@/im", "u p tcp 127.0.0.1:3306 im", ""},
		{"u:p@tcp(db)/im?tls=skip-verify&wsrep_sync_wait=7", "u p tcp db:3306 im", "skip-verify"},
		{"u:p@tcp(db)/im?useUnicode=true&characterEncoding=UTF-8&useSSL=false", "u p tcp db:3306 im", "false"},
		{"mysql://u:p%40w@db:3307/im", "u p@w tcp db:3307 im", ""},
		{"mariadb://u:p@db/im?charset=utf8", "u p tcp db:3306 im", ""},
		{"jdbc:mysql://db:3306/openfire?user=u&password=p%26w&characterEncoding=UTF-8&rewriteBatchedStatements=true", "u p&w tcp db:3306 openfire", ""},
		{"jdbc:mysql://db/openfire?rewriteBatchedStatements=true&amp;user=u&amp;password=p", "u p tcp db:3306 openfire", ""},
		{"jdbc:mariadb://db/openfire?user=u&password=p&sslMode=VERIFY_IDENTITY&useSSL=true", "u p tcp db:3306 openfire", "true"},
		{"jdbc:mysql://u:p@db/openfire?useSSL=true", "u p tcp db:3306 openfire", "skip-verify"},
	} {
		t.Run(c.dsn, func(t *testing.T) {
			got, err := mysqlAddress(c.dsn)
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join([]string{got.User, got.Passwd, got.Net, got.Addr, got.DBName}, " "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
			if got.TLSConfig != c.tls {
				t.Errorf("TLS is %q, want %q", got.TLSConfig, c.tls)
			}
			if driver := DriverOf(c.dsn, "sqlite"); driver != "mysql" && !strings.HasPrefix(c.dsn, "u:p@/") {
				t.Errorf("it is taken for %s, want mysql", driver)
			}
		})
	}
	for _, dsn := range []string{"u:p@tcp(b:3307, A,[::1]:1)/im", "jdbc:mariadb://b:3307,a,[::1]:1/im?user=u&password=p"} {
		t.Run(fmt.Sprintf("%.12s", dsn), func(t *testing.T) {
			got, err := mysqlAddress(dsn)
			if want := []string{"b:3307", "a:3306", "[::1]:1"}; err != nil || !slices.Equal(got.nodes, want) || got.Addr != want[0] {
				t.Errorf("%s: got %v, %v, want the nodes %q", dsn, got, err, want)
			}
			if shown := MaskDSN(dsn); shown != "u:"+Mask+"@tcp(b:3307,a:3306,[::1]:1)/im" && shown != "u:"+Mask+"@tcp(b:3307,a:3306,[::1]:1)/im?"+Mask {
				t.Errorf("%s is shown as %s, want its nodes and no password", dsn, shown)
			}
		})
	}
	if got, _ := mysqlAddress("u:p@tcp(db)/im?wsrep_sync_wait=7"); got == nil || got.Params["wsrep_sync_wait"] != "7" {
		t.Errorf("a session variable is lost: got %+v, want a result, wsrep_sync_wait 7", got)
	}
}

// Lists of servers are those of the engines' own drivers.
func TestAddressesOfSeveralServers(t *testing.T) {
	for driver, list := range map[string][]string{
		"oracle": {
			"oracle://u:p@:0/?connStr=(DESCRIPTION=(FAILOVER=on)(ADDRESS_LIST=(ADDRESS=(PROTOCOL=tcp)(HOST=a)(PORT=1521))(ADDRESS=(PROTOCOL=tcp)(HOST=b)(PORT=1522)))(CONNECT_DATA=(SERVICE_NAME=im)))",
			"jdbc:oracle:thin:u/p@(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=a)(PORT=1521))(ADDRESS=(PROTOCOL=tcp)(HOST=b)(PORT=1522))(CONNECT_DATA=(SERVICE_NAME=im)))",
		},
		"sqlserver": {
			"sqlserver://u:p@a:1433?database=im&failoverpartner=b&multisubnetfailover=true",
			"server=a;failover partner=b;multisubnetfailover=true;user id=u;password=p;database=im",
		},
	} {
		t.Run(driver, func(t *testing.T) {
			for _, dsn := range list {
				if err := CheckDSN(driver, dsn); err != nil {
					t.Errorf("%s: got %v, want it taken", dsn, err)
				}
			}
		})
	}
	for _, dsn := range []string{"oracle://u:p@:0/?connStr=(DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(PROTOCOL=tcp)(HOST=a)(PORT=1521))(ADDRESS=(PROTOCOL=tcp)(HOST=b)(PORT=1522)))(CONNECT_DATA=(SERVICE_NAME=im)))"} {
		if c, err := oracleAddress(dsn); err != nil || len(c.Servers) != 2 {
			t.Errorf("got %+v, %v, want both servers", c, err)
		}
	}
	c, err := sqlserverAddress("sqlserver://u:p@a:1433?database=im&failoverpartner=b&multisubnetfailover=true")
	if err != nil || c.FailOverPartner != "b" || !c.MultiSubnetFailover {
		t.Errorf("got %+v, %v, want the partner b and many subnets", c, err)
	}
}

// wrongAddresses are mistakes, each with the secret HUSH; the text is a part of the error, by the driver that is configured.
var wrongAddresses = []struct{ dsn, mysql, sqlite string }{
	{"u:HUSH@tcp(db:3306)/im", "", "set store.driver: mysql"},
	{"mysql://u:HUSH@db/im", "", "set store.driver: mysql"},
	{"jdbc:mysql://db/im?user=u&password=HUSH", "", "set store.driver: mysql"},
	{"u:HUSH@db:3306/im", "has no tcp(…)", "looks like the address of a server"},
	{"u:HU/HUSH@db:3306/im", "has no tcp(…)", "looks like the address of a server"},
	{"u:HUSH@tcp(db:99999)/im", "no number from 1 to 65535", "set store.driver: mysql"},
	{"u:HUSH@tcp(db:HUSH)/im", "something else than host and port", "set store.driver: mysql"},
	{"tcp(u:HUSH@db:3306)/im", "something else than host and port", "set store.driver: mysql"},
	{"u:HUSH@tcp(db:3306)/", "names no database", "set store.driver: mysql"},
	{"u:HUSH@tcp(db:3306)", "is no address of a MySQL server", "set store.driver: mysql"},
	{"u:HUSH@tcp(db:3306/im", "is no address of a MySQL server", "set store.driver: mysql"},
	{"u:HUSH@udp(db:3306)/im", "neither tcp(…) nor unix(…)", "looks like the address of a server"},
	{"u:HUSH@unix(HUSH)/im", "a path in unix(…)", "set store.driver: mysql"},
	{"\"u:HUSH@tcp(db:3306)/im\"", "leave the quotation marks away", "leave the quotation marks away"},
	{"“u:HUSH@tcp(db:3306)/im”", "leave the quotation marks away", "leave the quotation marks away"},
	{"u:HU\nHUSH@tcp(db:3306)/im", "line break", "line break"},
	{"u:HUSH@tcp(db:3306)/im?x=%zzHUSH", `a "%" that begins no escape`, "set store.driver: mysql"},
	{"u@tcp(db:3306)/im?password=HUSH", "as a parameter", "set store.driver: mysql"},
	{"u@tcp(db:3306)/im?tls=HUSH", "a parameter tls with a value that it does not take", "set store.driver: mysql"},
	{"u@tcp(db:3306)/im?maxAllowedPacket=HUSH", "a parameter maxAllowedPacket with", "set store.driver: mysql"},
	{"u@tcp(db:3306)/im?sslMode=HUSH", "sslMode or useSSL", "set store.driver: mysql"},
	{"u@tcp(db:3306)/im?HU SH=1", "neither one of the driver nor a session variable", "set store.driver: mysql"},
	{"u@tcp(db:3306)/im?x=';HUSH", "neither one of the driver nor a session variable", "set store.driver: mysql"},
	{"u:HUSH@tcp(db:3306)/im:HUSH", "a database that none has", "set store.driver: mysql"},
	{"mysql://u:HU/HUSH@db/im", "the password holds a", "set store.driver: mysql"},
	{"mysql://u:HU?HUSH@db/im", "the password holds a", "set store.driver: mysql"},
	{"mysql://u:HU%zzHUSH@db/im", `a "%" that begins no escape`, "set store.driver: mysql"},
	{"mysql://u:HUSH@db:3306", "names no database", "set store.driver: mysql"},
	{"mysql://u:HUSH@db:x/im", "something else than host and port", "set store.driver: mysql"},
	{"jdbc:mysql://db:3306/im?password=HUSH", "names no user", "set store.driver: mysql"},
	{"jdbc:mysql://a,b/im?user=u&password=HUSH", "", "set store.driver: mysql"},
	{"u:HUSH@tcp(a:3306,b:3306)/im", "", "set store.driver: mysql"},
	{"u:HUSH@tcp(a:3306,A)/im", "a server twice", "set store.driver: mysql"},
	{"u:HUSH@tcp(a,,b)/im", "an empty place", "set store.driver: mysql"},
	{"u:HUSH@tcp(a,)/im", "an empty place", "set store.driver: mysql"},
	{"u:HUSH@tcp(a,/run/mysqld.sock)/im", "a socket among servers", "set store.driver: mysql"},
	{"u:HUSH@unix(/run/a.sock,/run/b.sock)/im", "a socket stands alone", "set store.driver: mysql"},
	{"u:HUSH@tcp(a:3306),tcp(b:3306)/im", "more than one tcp(…)", "set store.driver: mysql"},
	{"u:HUSH@tcp(a:3306),unix(/run/b.sock)/im", "more than one tcp(…)", "set store.driver: mysql"},
	{"u:HUSH@tcp(a:3306,b:0)/im", "no number from 1 to 65535", "set store.driver: mysql"},
	{"u:HUSH@tcp(a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q)/im", "more than 16 servers", "set store.driver: mysql"},
	{"jdbc:mysql:replication://a/im?user=u&password=HUSH", "several servers", "set store.driver: mysql"},
	{"jdbc:sqlserver://db:1433;user=sa;password=HUSH", "set store.driver: sqlserver", "set store.driver: sqlserver"},
	{"jdbc:jtds:sqlserver://db/im;user=sa;password=HUSH", "set store.driver: sqlserver", "set store.driver: sqlserver"},
	{"sqlserver://sa:HUSH@db?database=im", "set store.driver: sqlserver", "set store.driver: sqlserver"},
	{"jdbc:oracle:thin:u/HUSH@db:1521:im", "set store.driver: oracle", "set store.driver: oracle"},
	{"jdbc:postgresql://u:HUSH@db/im", "another engine: write it as", "another engine; for sqlite it is"},
	{"postgres://u:HUSH@db/im", "another engine: write it as", "another engine; for sqlite it is"},
	{"Server=db;Database=im;Uid=u;Pwd=HUSH", "set store.driver: sqlserver", "set store.driver: sqlserver"},
	{"host=db user=u password=HUSH", "in the form of ADO: write it as", "in the form of ADO; for sqlite it is"},
	{"im?user=u&password=HUSH", "is no address of a MySQL server", "looks like the address of a server"},
	{":memory:", "is no address of a MySQL server", "a database in memory"},
	{"tlim.db", "is no address of a MySQL server: write it as user:password@tcp(host:3306)/database", ""},
}

// A wrong address is named with its remedy, and neither the error nor what may be shown holds a secret.
func TestWrongAddresses(t *testing.T) {
	for _, c := range wrongAddresses {
		for driver, want := range map[string]string{"mysql": c.mysql, "sqlite": c.sqlite} {
			t.Run(driver+" "+c.dsn, func(t *testing.T) {
				err := CheckDSN(driver, c.dsn)
				switch {
				case want == "" && err != nil:
					t.Errorf("got %v, want no error", err)
				case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
					t.Errorf("got %v, want %q", err, want)
				case err != nil && (strings.Contains(err.Error(), "HUSH") || strings.Contains(err.Error(), "\n")):
					t.Errorf("got %v, want an error of one line that shows no part of the address", err)
				}
				if want == "" {
					return
				}
				if _, err := Open(t.Context(), Config{Driver: driver, DSN: c.dsn}); err == nil || strings.Contains(err.Error(), "HUSH") {
					t.Errorf("opening says %v, want an error that shows nothing of it", err)
				}
			})
		}
		if shown := MaskDSN(c.dsn); strings.Contains(shown, "HUSH") {
			t.Errorf("%s is shown as %s, want shown without HUSH", c.dsn, shown)
		}
	}
}

// What is shown says where the data goes.
func TestMaskedDSN(t *testing.T) {
	for dsn, want := range map[string]string{
		"":                                   "",
		"tlim.db":                            "tlim.db",
		"/var/lib/tlim/tlim@a.db":            "/var/lib/tlim/tlim@a.db",
		"file:tlim.db?mode=rw":               "file:tlim.db?********",
		"u:p@tcp(h)/d?charset=utf8mb4":       "u:********@tcp(h:3306)/d?********",
		"u:p://x@tcp(h:1)/d":                 "u:********@tcp(h:1)/d",
		"u@tcp(h)/d":                         "u@tcp(h:3306)/d",
		"u:p@unix(/run/s)/d":                 "u:********@unix(/run/s)/d",
		"jdbc:mysql://h/d?user=u&password=p": "u:********@tcp(h:3306)/d?********",
		"sqlserver://sa:p@h?database=d":      "sqlserver://sa:********@h?database=d",
		"oracle://u:p@h:1521/s":              "oracle://u:********@h:1521/s",
		"oracle://u:p@h/?SID=X&TRACE+FILE=p": "oracle://u:********@h:1521/?SID=X",
		"jdbc:oracle:thin:u/p@h:1521:X":      "oracle://u:********@h:1521/?SID=X",
		"oracle://u:p@:0/?connStr=(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=h)(PORT=1522))(CONNECT_DATA=(SERVICE_NAME=s)))": "oracle://u:********@h:1522/s",
		"server=h;Password={a;b};x=1": "********",
		"u:p@h/d":                     "********",
		"p":                           "********",
	} {
		t.Run(fmt.Sprintf("%.30q", dsn), func(t *testing.T) {
			if got := MaskDSN(dsn); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
