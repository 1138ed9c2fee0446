package takeover

import (
	"fmt"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"tlim/cmd/tlim/config"
	"tlim/store"
)

// jive is an openfire.xml with this below its root.
func jive(inside string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><jive>` + inside + `</jive>`
}

// provided is one with a database.
func provided(url, user, password, more string) string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace
	return jive(`<connectionProvider><className>org.jivesoftware.database.DefaultConnectionProvider</className></connectionProvider>
	<database><defaultProvider><driver>x</driver><serverURL>` + escape(url) + `</serverURL><username>` + escape(user) + `</username><password>` + escape(password) +
		`</password><testSQL>select 1</testSQL></defaultProvider></database><setup>true</setup>` + more)
}

func read(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDatabases: each form of a JDBC URL becomes an address of the engine's own, and what is dropped of it is named.
func TestDatabases(t *testing.T) {
	for _, c := range []struct{ url, user, password, driver, dsn, note string }{
		{"jdbc:mysql://db:3307/openfire?useUnicode=true&characterEncoding=UTF-8&useSSL=false", "u", "p", "mysql", "u:p@tcp(db:3307)/openfire?useSSL=false", "useUnicode, characterEncoding"},
		{"jdbc:mysql://db/openfire?rewriteBatchedStatements=true&amp;serverTimezone=Asia/Shanghai", "u", `p@/:#%;?'" 密码`, "mysql", `u:p@/:#%;?'" 密码@tcp(db:3306)/openfire`, "rewriteBatchedStatements, serverTimezone"},
		{"jdbc:mariadb://db/im?sslMode=verify-full", "u:v", "p/@", "mysql", "mysql://u%3Av:p%2F%40@db:3306/im?sslMode=verify-full", ""},
		{"jdbc:mysql:///im", "u", "", "mysql", "u@tcp(localhost:3306)/im", ""},
		{"jdbc:mysql://[2001:db8::1]:3306/im", "u", "p", "mysql", "u:p@tcp([2001:db8::1]:3306)/im", ""},
		{"jdbc:mysql://address=(protocol=tcp)(host=2001:db8::1)(port=3307)/im", "u", "p", "mysql", "u:p@tcp([2001:db8::1]:3307)/im", ""},
		{"jdbc:mysql://(host=db,port=3307,user=a)/im", "u", "p", "mysql", "u:p@tcp(db:3307)/im", ""},
		{"jdbc:mysql://a:1,b:2,[::1]:3/im?autoReconnect=true", "u", "p", "mysql", "u:p@tcp(a:1)/im", "names 3 servers"},
		{"jdbc:mysql:replication://a,b/im", "u", "p", "mysql", "u:p@tcp(a:3306)/im", "names 2 servers"},
		{"jdbc:mysql:loadbalance://a/im", "u", "p", "mysql", "u:p@tcp(a:3306)/im", "one server"},
		{"jdbc:mysql://db/im?password=q", "u", "", "mysql", "u:q@tcp(db:3306)/im", ""},
		{"jdbc:mysql://root:a%40b@db/im", "", "", "mysql", "root:a@b@tcp(db:3306)/im", ""},
		{"jdbc:mysql://root:a%40b@db/im", "u", "p", "mysql", "u:p@tcp(db:3306)/im", "names another user or password"},
		{"jdbc:mysql://db/im?user=zz", "u", "p", "mysql", "u:p@tcp(db:3306)/im", "names another user or password"},
		{"jdbc:mysql://db/im?user=u", "u", "p", "mysql", "u:p@tcp(db:3306)/im", ""},
		{"jdbc:mysql://db/im?user=u&password=q", "u", "p", "mysql", "u:p@tcp(db:3306)/im", "names another user or password"},
		{"jdbc:mysql://db/im?user=root&password=a%26b&useSSL=maybe", "", "", "mysql", "root:a&b@tcp(db:3306)/im", "useSSL"},
		{"jdbc:oracle:thin:@db:1521:ORCL", "u", "p@/:#%", "oracle", "oracle://u:p%40%2F%3A%23%25@db:1521/?SID=ORCL", ""},
		{"jdbc:oracle:thin:@db:1521:ORCL:SHARED", "u", "p", "oracle", "oracle://u:p@db:1521/?SID=ORCL", ""},
		{"jdbc:oracle:thin:@//db:1522/im.example.com", "u", "p", "oracle", "oracle://u:p@db:1522/im.example.com", ""},
		{"jdbc:oracle:thin:@db/im", "u", "p", "oracle", "oracle://u:p@db:1521/im", ""},
		{"jdbc:oracle:thin:@[::1]:1521:ORCL", "u", "p", "oracle", "oracle://u:p@[::1]:1521/?SID=ORCL", ""},
		{"jdbc:oracle:thin:scott/ti@ger@db:1521:ORCL", "", "", "oracle", "oracle://scott:ti%40ger@db:1521/?SID=ORCL", ""},
		{"jdbc:oracle:oci:@//db:1521/im", "u", "p", "oracle", "oracle://u:p@db:1521/im", "OCI"},
		{"jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS_LIST=(ADDRESS=(PROTOCOL=TCP)(HOST=a)(PORT=1521))\n (ADDRESS=(PROTOCOL=TCP)(HOST=b)(PORT=1521)))(CONNECT_DATA=(SERVICE_NAME=im)))", "u", "p", "oracle",
			"oracle://u:p@:0/?connStr=%28DESCRIPTION%3D%28ADDRESS_LIST%3D%28ADDRESS%3D%28PROTOCOL%3DTCP%29%28HOST%3Da%29%28PORT%3D1521%29%29%28ADDRESS%3D%28PROTOCOL%3DTCP%29%28HOST%3Db%29%28PORT%3D1521%29%29%29%28CONNECT_DATA%3D%28SERVICE_NAME%3Dim%29%29%29", ""},
		{"jdbc:jtds:sqlserver://db:1444/im;appName=jive;ssl=require", "sa", "p;@", "sqlserver", "sqlserver://sa:p;%40@db:1444?database=im&encrypt=true&trustservercertificate=true", "appName"},
		{"jdbc:jtds:sqlserver://db/im;instance=SQLEXPRESS", "sa", "p", "sqlserver", "sqlserver://sa:p@db/SQLEXPRESS?database=im", ""},
		{"jdbc:jtds:sqlserver://db/im;user=a;password=b", "", "", "sqlserver", "sqlserver://a:b@db:1433?database=im", ""},
		{"jdbc:sqlserver://db:1433;databaseName=im;encrypt=true;trustServerCertificate=true;sendStringParametersAsUnicode=false", "sa", "p", "sqlserver", "sqlserver://sa:p@db:1433?database=im&encrypt=true&trustservercertificate=true", "sendStringParametersAsUnicode"},
		{`jdbc:sqlserver://db\SQLEXPRESS;database=im`, "sa", "p", "sqlserver", "sqlserver://sa:p@db/SQLEXPRESS?database=im", ""},
		{`jdbc:sqlserver://;serverName=::1;portNumber=1435;databaseName={im};user=a;password={b;}}c}`, "", "", "sqlserver", "sqlserver://a:b;%7Dc@[::1]:1435?database=im", ""},
		{"jdbc:microsoft:sqlserver://db:1433;DatabaseName=im", "sa", "p", "sqlserver", "sqlserver://sa:p@db:1433?database=im", ""},
		{"jdbc:sqlserver://db;databaseName=im;javax.net.ssl.trustStore=/k;com.example.Pool.size=5;a1-b=c;2=3", "sa", "p", "sqlserver", "sqlserver://sa:p@db:1433?database=im",
			"because it is the Java driver's: javax.net.ssl.trustStore, com.example.Pool.size, one or more whose names are no plain words; serverURL"},
		{"jdbc:mysql://db/im?oracle.net.x_1=2&x.y.z&" + hush, "u", "p", "mysql", "u:p@tcp(db:3306)/im", "tlim sets character set, time-outs and the like itself: oracle.net.x_1, one or more whose names are no plain words"},
		{"jdbc:oracle:thin:@//db:1521/im?oracle.net.encryption_client=REQUIRED&oracle.jdbc.ReadTimeout=6000&wallet", "u", "p", "oracle", "oracle://u:p@db:1521/im",
			"because it is the Java driver's: oracle.net.encryption_client, oracle.jdbc.ReadTimeout, wallet"},
		{"jdbc:hsqldb:/opt/openfire/embedded-db/openfire", "sa", "", "sqlite", "tlim.db", "embedded database"},
	} {
		t.Run(fmt.Sprintf("%.60s by %q", c.url, c.user), func(t *testing.T) {
			db, err := read(t, provided(c.url, c.user, c.password, "")).Database(Login{})
			if err != nil {
				t.Fatal(err)
			}
			if db.Driver != c.driver || db.DSN != c.dsn || !db.Complete {
				t.Errorf("got %s %s, complete %v, want %s %s", db.Driver, db.DSN, db.Complete, c.driver, c.dsn)
			}
			if notes := strings.Join(db.notes, "; "); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("the notes are %q, want %q among them", notes, c.note)
			}
			if err := store.CheckDSN(db.Driver, db.DSN); err != nil {
				t.Errorf("got %v of the engine, want the address taken", err)
			}
		})
	}
}

const hush = "q7VXK2wz9marker"

// TestWrongFiles: each mistake is one line with its remedy, and the line has nothing of a password.
func TestWrongFiles(t *testing.T) {
	bomb := `<!DOCTYPE jive [<!ENTITY a "` + hush + `"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`
	for name, c := range map[string]struct{ text, want string }{
		"empty":                            {"", "is empty or no XML"},
		"no XML":                           {hush, "is empty or no XML"},
		"YAML":                             {"xmpp: {secret: " + hush + "}", "is empty or no XML"},
		"binary":                           {"\x00\x01" + hush, "has NUL bytes"},
		"another XML":                      {"<server><password>" + hush + "</password></server>", "the root of an openfire.xml is <jive>"},
		"two roots":                        {jive("") + "\n<server>" + hush + "</server>", "has something behind </jive>, in or near line 2"},
		"junk behind it":                   {jive("") + "\n" + hush, "has something behind </jive>, in or near line 2"},
		"an ampersand":                     {jive("<a>\n<password>a&" + hush + ";b</password></a>"), `is no XML in or near line 2: between elements "&" is written &amp;`},
		"a less-than sign":                 {jive("<password>a<" + hush + "</password>"), "is no XML in or near line 1"},
		"not closed":                       {"<jive>\n<password>" + hush, "ends too early, in line 2"},
		"entities":                         {bomb + jive("<a>&b;</a>"), "has a <!…> declaration"},
		"an external entity":               {`<!DOCTYPE jive SYSTEM "file:///etc/passwd">` + jive(""), "has a <!…> declaration"},
		"huge":                             {jive("<a>" + strings.Repeat(hush, 1<<17) + "</a>"), "is larger than"},
		"deep":                             {jive(strings.Repeat("<a>", 100_000)), "elements inside each other"},
		"character set":                    {`<?xml version="1.0" encoding="EBCDIC"?><jive/>`, "character set"},
		"UTF-16, no mark":                  {wide(t, unicode.LittleEndian, unicode.IgnoreBOM, jive("")), "is UTF-16 without a byte order mark: save it as UTF-8"},
		"UTF-16, no mark, high byte first": {wide(t, unicode.BigEndian, unicode.IgnoreBOM, jive("")), "is UTF-16 without a byte order mark: save it as UTF-8"},
		"half UTF-16":                      {wide(t, unicode.LittleEndian, unicode.UseBOM, jive("")) + "x", "half a character"},
		"UTF-32":                           {"<\x00\x00\x00?\x00\x00\x00", "is UTF-32: save it as UTF-8"},
		"UTF-32 with a mark":               {"\xff\xfe\x00\x00<\x00\x00\x00", "is UTF-32: save it as UTF-8"},
		"GBK, not declared":                {jive("\n<a>\xc3\xdc" + hush + "</a>"), "has bytes that are no UTF-8 in line 2: save it as UTF-8"},
		"no GBK":                           {`<?xml version="1.0" encoding="GBK"?><jive><a>` + "\xff\xff</a></jive>", "not of the character set in its first line"},
		"said to be UTF-16":                {`<?xml version="1.0" encoding="UTF-16"?><jive/>`, `write encoding="UTF-8" there`},
		"gzip":                             {"\x1f\x8b\x08" + hush, "is a compressed file"},
		"zip":                              {"PK\x03\x04" + hush, "is a compressed file"},
		"an element in a text":             {provided("jdbc:mysql://db/im", "u", "p", "<tlim>\n<appKey>Sekr<b>"+hush+"</b>y</appKey></tlim>"), "has an element within the text of a setting, in or near line 3"},
		"a C1 line break":                  {provided("jdbc:mysql://db/im", "u", "a\u0085"+hush, ""), "another control character"},
		"no database":                      {jive("<setup>false</setup>"), "names no database"},
		"no URL":                           {provided("", "u", hush, ""), "names no database"},
		"not JDBC":                         {provided("mysql://u:"+hush+"@db/im", "", "", ""), "is no JDBC URL"},
		"unknown driver":                   {provided("jdbc:postgresql://db/im?password="+hush, "u", hush, ""), "a database called postgresql, which tlim does not have"},
		"a name of a DNS":                  {provided("jdbc:mysql+srv://"+hush+"/im", "u", hush, ""), "is no URL like jdbc:mysql"},
		"no database in it":                {provided("jdbc:mysql://db:3306?password="+hush, "u", hush, ""), "names no database"},
		"no host":                          {provided("jdbc:mysql://"+hush+" x/im", "u", hush, ""), "something else than host and port"},
		"a pipe":                           {provided("jdbc:mysql://address=(protocol=pipe)(path="+hush+")/im", "u", hush, ""), "otherwise than by host and port"},
		"tcps":                             {provided("jdbc:oracle:thin:u/"+hush+"@tcps://db:2484/im", "", "", ""), "(PROTOCOL=tcps)(HOST=host)"},
		"tnsnames":                         {provided("jdbc:oracle:thin:u/"+hush+"@IMPROD", "", "", ""), "tnsnames.ora"},
		"LDAP":                             {provided("jdbc:oracle:thin:@ldap://h:7777/"+hush+",cn=x", "u", hush, ""), "directory (LDAP)"},
		"half a descriptor":                {provided("jdbc:oracle:thin:u/"+hush+"@(DESCRIPTION=(ADDRESS=(HOST=a)", "", "", ""), "is not whole"},
		"no Oracle server":                 {provided("jdbc:oracle:thin:"+hush, "u", hush, ""), "is no URL like jdbc:oracle:thin:@host:1521:SID"},
		"no SQL database":                  {provided("jdbc:sqlserver://db", "u", hush, ""), "names no database"},
		"no SQL Server":                    {provided("jdbc:sqlserver:db;password="+hush, "u", hush, ""), "is no URL like jdbc:sqlserver"},
		"JNDI":                             {jive("<connectionProvider><className>org.jivesoftware.database.JNDIDataSourceProvider</className></connectionProvider>"), "JNDI data source"},
		"encrypted URL":                    {strings.Replace(provided("ab12", "u", hush, ""), "<serverURL>", `<serverURL encrypted="true">`, 1), "has serverURL encrypted"},
		"JDBC of SQL Server":               {provided("jdbc:mysql://db/im;password="+hush, "u", hush, ""), "a name of a database that none has"},
		"a password in a name":             {provided("jdbc:sqlserver://db\\x&password="+hush, "u", hush, ""), "a name of an instance that none has"},
		"no database at all":               {provided("jdbc:sqlserver://db;user=u;password="+hush, "u", hush, ""), "names no database"},
		"a control character":              {provided("jdbc:mysql://db/im?user=u&password=a%0A"+hush, "", "", ""), "another control character"},
		"percents of GBK":                  {provided("jdbc:mysql://db/im?user=u&password=%C3%DC"+hush, "", "", ""), "bytes that are no UTF-8"},
		"a user in GBK":                    {provided("mysql://u:%C3%DC"+hush+"@db/im", "", "", ""), "is no JDBC URL"},
		"user-info in GBK":                 {provided("jdbc:mysql://u:%C3%DC"+hush+"@db/im", "", "", ""), "bytes that are no UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Read(strings.NewReader(c.text))
			if err == nil {
				_, err = d.Database(Login{})
			}
			got := fmt.Sprint(err)
			if c.want == "" && err != nil || !strings.Contains(got, c.want) || strings.Contains(got, hush) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want one line with %q and without the password", got, c.want)
			}
		})
	}
}

// TestForms: what editors and Openfire itself make of the file is read.
func TestForms(t *testing.T) {
	for name, text := range map[string]string{
		"byte order mark":         "\ufeff" + jive("<tlim><a>张三</a></tlim>"),
		"GBK":                     "<?xml version=\"1.0\" encoding=\"GBK\"?><jive><tlim><a>\xd5\xc5\xc8\xfd</a></tlim></jive>",
		"UTF-16":                  wide(t, unicode.LittleEndian, unicode.UseBOM, strings.Replace(jive("<tlim><a>张三</a></tlim>"), "UTF-8", "UTF-16", 1)),
		"UTF-16, high byte first": wide(t, unicode.BigEndian, unicode.UseBOM, jive("<tlim><a>张三</a></tlim>")),
		"blanks":                  jive("\r\n <tlim> \r\n <a>\r\n 张三 \r\n</a> </tlim>"),
		"CDATA":                   jive("<tlim><a><![CDATA[张三]]></a></tlim>"),
		"twice":                   jive("<tlim><a>张三</a><a>李四</a></tlim><tlim><a>王五</a></tlim>"),
		"comment":                 jive("<!-- <tlim><a>李四</a></tlim> --><tlim><a>张<!-- x -->三</a></tlim>"),
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, text).value("tlim.a"); got.Text != "张三" || got.Encrypted {
				t.Errorf("got %+v, want 张三 in plain", got)
			}
		})
	}
}

// wide is a text in UTF-16.
func wide(t *testing.T, order unicode.Endianness, mark unicode.BOMPolicy, text string) string {
	t.Helper()
	text, err := unicode.UTF16(order, mark).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestBlanks: ASCII blanks around a password are the editor's, all others are part of it, in the file that is written too.
func TestBlanks(t *testing.T) {
	for _, password := range []string{"a\u3000b", "a\u3000", "\u00a0a", "\u2028a", "a\u2028", "a\u2028b\u2029 c", "\u2003a\u200b", "\ufeffa"} {
		t.Run(fmt.Sprintf("%+q", password), func(t *testing.T) {
			f := convert(t, provided("jdbc:mysql://db/im", "u", "\r\n "+password+"\t ", whole), rows())
			cfg, err := load(t, f)
			if want := "u:" + password + "@tcp(db:3306)/im"; err != nil || cfg.Store.DSN.Reveal() != want {
				t.Errorf("%q: got %q, %v; want %q", password, cfg.Store.DSN.Reveal(), err, want)
			}
			if strings.ContainsAny(string(f.Text()), "\u2028\u2029\ufeff") {
				t.Errorf("%q: got\n%q\nwant no character that ends lines or is not seen", password, f.Text())
			}
			db, err := read(t, provided("jdbc:sqlserver://db;databaseName=im;user=u;password="+password, "", "", "")).Database(Login{})
			if err != nil {
				t.Fatal(err)
			}
			if want := neturl.UserPassword("u", password).String() + "@db"; !strings.Contains(db.DSN, want) {
				t.Errorf("%q in the URL: got %q, want %q in it", password, db.DSN, want)
			}
		})
	}
}

// TestTwice: of two settings of a name the first counts, which is said of those that are read.
func TestTwice(t *testing.T) {
	f := convert(t, strings.Replace(provided("jdbc:mysql://db/im", "u", "p", "<tlim><cleanUp>true</cleanUp></tlim><tlim><appKey>"+hush+"</appKey><"+hush+">1</"+hush+"></tlim>"),
		"<username>", "<serverURL>jdbc:mysql://other/im</serverURL><username>", 1), rows())
	said := strings.Join(f.Notes, "\n")
	if !strings.Contains(said, "has database.defaultProvider.serverURL more than once") || !strings.Contains(said, "has tlim.appKey more than once") || strings.Contains(said, hush) ||
		!strings.Contains(string(f.Text()), "tcp(db:3306)") {
		t.Errorf("got %q and\n%s\nwant both names told and the first address, without the secret", said, f.Text())
	}
}

// whole has every setting of the plugin.
const whole = `<tlim><userAsync>false</userAsync><userAsyncInterval>5</userAsyncInterval><jpush>true</jpush><appKey>0123</appKey><masterSecret>true</masterSecret>
	<cleanUp>true</cleanUp><cleanUpInterval>12</cleanUpInterval><cleanUpHowmanydays>90</cleanUpHowmanydays><nettyServer>false</nettyServer><nettyServerPort>9599</nettyServerPort>
	<threadPoolSize>500</threadPoolSize><channelCode>cap</channelCode><httpObjectAggregatorValue>1</httpObjectAggregatorValue><optionSoBacklog>128</optionSoBacklog><dbPassword>` + hush + `</dbPassword>
	<druid><maxActive>200</maxActive><minIdle>300</minIdle><maxWait>8000</maxWait><maxEvictableIdleTimeMillis>600000</maxEvictableIdleTimeMillis><initialSize>100</initialSize>
	<removeAbandonedTimeout>80</removeAbandonedTimeout><testOnBorrow>false</testOnBorrow></druid></tlim>`

// rows are what Openfire's database may have.
func rows() *store.OpenfireSettings {
	return &store.OpenfireSettings{Suite: true, Properties: map[string]store.OpenfireProperty{
		"xmpp.domain": {Value: "IM.example.com"}, "xmpp.component.socket.port": {Value: "5999"}, "xmpp.component.defaultSecret": {Value: "0" + hush}, "route.all-resources": {Value: "true"},
		"tlim.cleanUpHowmanydays": {Value: "7"}, "tlim.later": {Value: hush},
	}, Components: map[string]store.OpenfireComponent{}}
}

// load reads a file that was made as tlim does.
func load(t *testing.T, f *File) (config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tlim.yaml")
	if err := os.WriteFile(path, f.Text(), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.Load(config.Sources{File: path})
	if err != nil {
		err = fmt.Errorf("%w in\n%s", err, f.Text())
	}
	return cfg, err
}

func convert(t *testing.T, text string, r *store.OpenfireSettings) *File {
	t.Helper()
	d := read(t, text)
	db, err := d.Database(Login{})
	if err != nil {
		t.Fatal(err)
	}
	return Convert(d, db, r, "")
}

// TestWholeSite: everything that has a key gets it, everything else is named with a reason, and the file is fit to run.
func TestWholeSite(t *testing.T) {
	f := convert(t, provided("jdbc:mysql://db/openfire", "u", "p'\": #"+hush, `<network><interface>10.0.0.1</interface></network><adminConsole><port>9595</port></adminConsole>`+whole), rows())
	cfg, err := load(t, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key       string
		got, want any
	}{
		{"xmpp.server", cfg.XMPP.Server.String(), "10.0.0.1:5999"}, {"xmpp.domain", cfg.XMPP.Domain, "im.example.com"}, {"xmpp.secret", cfg.XMPP.Secret.Reveal(), "0" + hush},
		{"store.driver", cfg.Store.Driver, "mysql"}, {"store.dsn", cfg.Store.DSN.Reveal(), "u:p'\": #" + hush + "@tcp(db:3306)/openfire"},
		{"store.max_open", cfg.Store.MaxOpen, 200}, {"store.max_idle", cfg.Store.MaxIdle, 200}, {"store.max_wait", text(t, cfg.Store.MaxWait), "8s"}, {"store.max_lifetime", text(t, cfg.Store.MaxLifetime), "10m"},
		{"directory.source", string(cfg.Directory.Source), "openfire"}, {"directory.dry_run", cfg.Directory.DryRun, true}, {"directory.interval", text(t, cfg.Directory.Interval), "5m"},
		{"push.jpush.enabled", cfg.Push.JPush.Enabled, true}, {"app_key", cfg.Push.JPush.AppKey.Reveal(), "0123"}, {"master_secret", cfg.Push.JPush.MasterSecret.Reveal(), "true"},
		{"cleanup.enabled", cfg.Cleanup.Enabled, true}, {"cleanup.interval", text(t, cfg.Cleanup.Interval), "12h"}, {"cleanup.days", cfg.Cleanup.Days, 90},
	} {
		t.Run(c.key, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %v, want %v", c.got, c.want)
			}
		})
	}
	made := string(f.Text())
	for _, want := range []string{"tlim.druid.initialSize", "tlim.druid.removeAbandonedTimeout", "tlim.druid.testOnBorrow", "tlim.nettyServer", "tlim.nettyServerPort", "tlim.threadPoolSize", "tlim.channelCode",
		"tlim.httpObjectAggregatorValue", "tlim.optionSoBacklog", "tlim.dbPassword", "tlim.later", "route.all-resources of ofProperty", provider + "minConnections"} {
		if !strings.Contains(made, "\n# - "+want) {
			t.Errorf("got\n%s\nwant it to say that %s was dropped", made, want)
		}
	}
	for _, line := range strings.Split(made, "\n") {
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "#") && strings.Contains(trimmed, hush) {
			t.Errorf("got the comment %s, want it without the secret", line)
		}
	}
	said := strings.Join(append(f.ToDo, f.Notes...), "\n")
	if len(f.ToDo) > 0 || !strings.Contains(said, "adminConsole.port") || strings.Contains(said, hush) {
		t.Errorf("an administrator is told\n%s\nwant nothing to do, the console's port, and no secret", said)
	}
}

func text(t *testing.T, d config.Duration) string {
	t.Helper()
	b, err := d.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSites: what a file leaves open is said, and what is done about it.
func TestSites(t *testing.T) {
	plain := provided("jdbc:mysql://db/openfire", "u", hush, "")
	encrypted := strings.NewReplacer("<username>", `<username encrypted="true">`, "<password>", `<password encrypted="true">`).Replace(plain)
	with := func(change func(*store.OpenfireSettings)) *store.OpenfireSettings {
		r := rows()
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		text       string
		rows       *store.OpenfireSettings
		made, todo string // parts of them; of todo "" is: nothing
	}{
		"without --db":         {plain, nil, "# domain: im.example.com", "write xmpp.domain"},
		"without --db, secret": {plain, nil, `# secret: ""`, "which --db reads"},
		"the default is isc":   {plain, rows(), "source: isc\n", ""},
		"no isc_user":          {plain, with(func(r *store.OpenfireSettings) { r.Suite = false }), "# - tlim.userAsync: the database has no tables isc_user", ""},
		"push of the makers":   {plain, rows(), "# enabled: true", ""},
		"encrypted":            {encrypted, rows(), "dsn_file: store.dsn\n", "import again with --user and --password-file"},
		"encrypted, the form":  {encrypted, rows(), "USER:PASSWORD@tcp(db:3306)/openfire", "stands in the comment there"},
		"no user":              {provided("jdbc:mysql://db/openfire", "", "", ""), rows(), "dsn_file: store.dsn\n", "names no user"},
		"own secret": {plain, with(func(r *store.OpenfireSettings) {
			r.Components["tlim"] = store.OpenfireComponent{Secret: "own", Allowed: true}
		}), "# the entry tlim of ofExtComponentConf\n  secret: own\n", ""},
		"blocked": {plain, with(func(r *store.OpenfireSettings) { r.Components["tlim"] = store.OpenfireComponent{Secret: "own"} }), "secret: 0" + hush, "is blocked in Openfire"},
		"whitelist": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.component.permission"] = store.OpenfireProperty{Value: "whitelist"}
		}), "secret: 0", "is whitelist"},
		"no secret": {plain, with(func(r *store.OpenfireSettings) { delete(r.Properties, "xmpp.component.defaultSecret") }), `# secret: ""`, "Openfire has no secret"},
		"encrypted secret": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.component.defaultSecret"] = store.OpenfireProperty{Value: "ab", Encrypted: true}
		}), `# secret: ""`, "is encrypted"},
		"secret in Chinese": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.component.defaultSecret"] = store.OpenfireProperty{Value: "密码"}
		}), `# secret: ""`, "is not ASCII"},
		"service off": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.component.socket.active"] = store.OpenfireProperty{Value: "false"}
		}), "", "enable the service"},
		"odd port": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.component.socket.port"] = store.OpenfireProperty{Value: "x"}
		}), ":5275\n", "is no port"},
		"odd domain": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.domain"] = store.OpenfireProperty{Value: "a b.com\nx: y"}
		}), "# domain: ", "write xmpp.domain: xmpp.domain of ofProperty was found and is no domain"},
		"a domain in Chinese": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.domain"] = store.OpenfireProperty{Value: "im.例子.com"}
		}), "# domain: xn--", "xmpp.domain of ofProperty was found and has letters of another script; write its xn-- form"},
		"an encrypted domain": {plain, with(func(r *store.OpenfireSettings) {
			r.Properties["xmpp.domain"] = store.OpenfireProperty{Value: "ab12", Encrypted: true}
		}), "# domain: ", "write xmpp.domain: xmpp.domain of ofProperty is encrypted"},
		"odd numbers": {provided("jdbc:mysql://db/openfire", "u", "p", "<tlim><druid><maxActive>"+hush+"</maxActive><minIdle>0</minIdle></druid><cleanUpInterval>9999999999999</cleanUpInterval></tlim>"),
			rows(), "# - tlim.druid.maxActive of openfire.xml: is no number from 1 to 10000", ""},
		"no UTF-8": {provided("jdbc:mysql://db/openfire", "u", "p", ""), with(func(r *store.OpenfireSettings) {
			r.Properties["tlim.appKey"], r.Properties["tlim.masterSecret"] = store.OpenfireProperty{Value: "0123"}, store.OpenfireProperty{Value: "\xc3\xdc" + hush}
		}), `# master_secret: ""`, "write push.jpush.master_secret: what Openfire has holds bytes"},
		"small pool":  {provided("jdbc:mysql://db/openfire", "u", "p", "<tlim><druid><maxActive>4</maxActive></druid></tlim>"), rows(), "max_idle: 4", ""},
		"embedded":    {provided("jdbc:hsqldb:x", "sa", "", ""), nil, "driver: sqlite", "write xmpp.domain"},
		"embedded by": {jive("<connectionProvider><className>org.jivesoftware.database.EmbeddedConnectionProvider</className></connectionProvider>"), nil, "SQLite file of its own", "write xmpp.domain"},
		"SQL Server":  {provided("jdbc:jtds:sqlserver://db/im", "sa", hush, ""), rows(), "driver: sqlserver", ""},
		"Oracle":      {provided("jdbc:oracle:thin:@db:1521:im", "u", hush, ""), rows(), "driver: oracle", ""},
		"Windows":     {provided("jdbc:jtds:sqlserver://db/im;domain=CORP;useNTLMv2=true", "u", hush, ""), rows(), "dsn_file: store.dsn\n", "logs in by Windows, which tlim does not: make a login of the database's own: import again with --user"},
		"integrated":  {provided("jdbc:sqlserver://db;databaseName=im;integratedSecurity=true", "", "", ""), rows(), "dsn_file: store.dsn\n", "by Windows"},
		"a directory": {provided("jdbc:sqlserver://db;databaseName=im;authentication=ActiveDirectoryPassword", "u", hush, ""), rows(), "dsn_file: store.dsn\n", "by a directory"},
		"SQL login":   {provided("jdbc:sqlserver://db;databaseName=im;authentication=SqlPassword;integratedSecurity=false", "u", hush, ""), rows(), "\n  dsn: ", ""},
		"a partner":   {provided("jdbc:sqlserver://db;databaseName=im;failoverPartner=b", "u", hush, ""), rows(), "\n  dsn: ", "names a fail-over partner"},
		"key stores":  {provided("jdbc:sqlserver://db;databaseName=im;trustStore=/x;trustStorePassword="+hush, "u", hush, ""), rows(), "\n  dsn: ", "keys or certificates for Java, which tlim does not read (trustStore, trustStorePassword)"},
		"MySQL's":     {provided("jdbc:mysql://db/im?trustCertificateKeyStoreUrl=file:/x&trustCertificateKeyStorePassword="+hush, "u", hush, ""), rows(), "\n  dsn: ", "keys or certificates for Java"},
		"two servers": {provided("jdbc:mysql://a,b/im", "u", hush, ""), rows(), "tcp(a:3306)", "names 2 servers"},
		"isc, unseen": {plain, nil, "source: isc\n", "directory.source is isc, unseen"},
	} {
		t.Run(name, func(t *testing.T) {
			f := convert(t, c.text, c.rows)
			if !strings.Contains(string(f.Text()), c.made) {
				t.Errorf("got\n%s\nwant %q in it", f.Text(), c.made)
			}
			todo := strings.Join(f.ToDo, "\n")
			if c.todo == "" && todo != "" || !strings.Contains(todo, c.todo) || strings.Contains(todo+strings.Join(f.Notes, ""), hush) {
				t.Errorf("to do: got %q, want %q in it and no secret", todo, c.todo)
			}
			if _, err := load(t, f); err != nil && todo == "" {
				t.Errorf("config check: got %v, want no error where nothing is to do", err)
			}
		})
	}
}
