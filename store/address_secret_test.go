package store

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// marker is a part of every password of TestNoPasswordIsShown, and of nothing else.
const marker = "q7VXK2wz9"

// passwords are as people choose them. What follows a sign that has a meaning in some address must not be shown either.
var passwords = []string{
	"%s", "a@%s", "a/%s", "a:%s", "a#%s", "a%%%s", "a%%zz%s", "a;%s", "a'%s", `a"%s`, "a?%s", "a&%s", "a=%s", "a(%s", "a)%s", "a)/%s", "@%s@", "/%s/", ":%s:", "a b%s", "{a;%s}", "a,%s", `a\%s`,
	"密码%s", "a：%s", "a＠%s", "12/%s", "1521/%s", "a@tcp(%s", "a@tcp(b)/%s", "a@b/%s", "a//%s", "[%s]", "<%s>", "$%s", "|%s", "*%s", "!%s", "a\u00a0%s", "a\u3000%s", "%s.db", "a/%s.db", "a@b/%s?c", "a@b/%s?c=d", "a@b:1/%s?c=d&e",
}

// addresses are the forms that people have of a database's address, PW for the password. The database is nowhere: no server answers there.
var addresses = []string{
	"u:PW@tcp(127.0.0.1:1)/im", "u:PW@tcp(127.0.0.1:1,127.0.0.1:2)/im", "tcp(u:PW@127.0.0.1:1,127.0.0.1:2)/im", "mysql://u:PW@127.0.0.1:1,127.0.0.1:2/im", "u:PW@tcp(127.0.0.1:1),tcp(127.0.0.1:2)/im", "u:PW@tcp(127.0.0.1:1)/im?charset=utf8mb4", "u:PW@127.0.0.1:1/im", "u:PW@127.0.0.1/im", "u:PW@(127.0.0.1:1)/im", "u:PW@/im", "u:PW@unix(/nowhere)/im", "u：PW@tcp(127.0.0.1:1)/im", "u:PW＠tcp(127.0.0.1:1)/im",
	"u/PW@tcp(127.0.0.1:1)/im", "u;PW@tcp(127.0.0.1:1)/im", "u=PW@tcp(127.0.0.1:1)/im", "u PW@tcp(127.0.0.1:1)/im", "u,PW@tcp(127.0.0.1:1)/im", ":PW@tcp(127.0.0.1:1)/im", "u:PW@tcp(127.0.0.1:1)", "u:PW@tcp:127.0.0.1:1/im", "u@tcp(127.0.0.1:1)/im?password=PW",
	"u@tcp(127.0.0.1:1)/im;password=PW", "u@tcp(127.0.0.1:1)/im?pasword=PW", "u@tcp(127.0.0.1:1)/im?pwd=PW", "u@tcp(127.0.0.1:1)/im:PW", "tcp(u:PW@127.0.0.1:1)/im", "user=u password=PW host=127.0.0.1", "--user=u --password=PW", "-h 127.0.0.1 -u u -pPW im", "-uu -pPW",
	"mysql://u:PW@127.0.0.1:1/im", "mysql://u:PW@127.0.0.1:1", "mysql:u:PW@127.0.0.1:1/im", "mysql:/u:PW@127.0.0.1:1/im", "mysql//u:PW@127.0.0.1:1/im", "mysql：//u:PW@127.0.0.1:1/im", "mysq://u:PW@127.0.0.1:1/im", "MYSQL://u:PW@127.0.0.1:1/im", "mysql+pymysql://u:PW@127.0.0.1:1/im", "//u:PW@127.0.0.1:1/im",
	"mariadb://u:PW@127.0.0.1:1/im", "mysql://u@127.0.0.1:1/im?password=PW", "mysql://u@127.0.0.1:1/im?pasword=PW", "mysql://u:PW@[::1]:1/im",
	"jdbc:mysql://127.0.0.1:1/im?user=u&password=PW", "jdbc:mysql://127.0.0.1:1/im?user=u&amp;password=PW", "jdbc:mysql://127.0.0.1:1/im?user=u;password=PW", "jdbc:mysql://127.0.0.1:1/im;user=u;password=PW", "jdbc:mysql://127.0.0.1:1/im&user=u&password=PW", "jdbc:mysql://127.0.0.1:1/im?user=u&pass=PW",
	"jdbc:mysql://u:PW@127.0.0.1:1/im", "jdbc:mysql://address=(host=127.0.0.1)(port=1)(user=u)(password=PW)/im", "jdbc:mysql://(host=127.0.0.1,port=1,user=u,password=PW)/im", "jdbc:mysql:loadbalance://u:PW@a,b/im", "jdbc:mariadb://127.0.0.1:1/im?user=u&password=PW", "jdbc:mysq://127.0.0.1:1/im?user=u&password=PW", "jbdc:mysql://127.0.0.1:1/im?user=u&password=PW",
	"server=127.0.0.1;user id=sa;password=PW;database=im", "Server=127.0.0.1,1;Database=im;Uid=sa;Pwd=PW", "server=127.0.0.1;user id=sa;password={PW};database=im", "sever=127.0.0.1;user id=sa;password=PW", "user id=sa;password=PW;server=127.0.0.1", "Data Source=127.0.0.1;User Id=sa;Pasword=PW", "odbc:server=127.0.0.1;uid=sa;pwd=PW", "server=127.0.0.1;passwd=PW",
	"data source=127.0.0.1；user id=sa；password=PW", "server=127.0.0.1 user=sa password=PW", "password=PW", "pwd=PW", "Driver={ODBC Driver 17 for SQL Server};Server=127.0.0.1;Uid=sa;Pwd=PW",
	"sqlserver://sa:PW@127.0.0.1:1?database=im", "sqlserver://127.0.0.1:1?user id=sa&password=PW", "mssql://sa:PW@127.0.0.1:1/im", "sqlsever://sa:PW@127.0.0.1:1?database=im", "sqlserver://sa:PW@127.0.0.1\\x?database=im",
	"jdbc:sqlserver://127.0.0.1:1;databaseName=im;user=sa;password=PW", "jdbc:sqlserver://127.0.0.1:1;databaseName=im;user=sa;password={PW}", "jdbc:jtds:sqlserver://127.0.0.1:1/im;user=sa;password=PW", "jdbc:jtds:sqlserver://127.0.0.1:1/im;appName=jive;user=sa;pasword=PW", "jtds:sqlserver://127.0.0.1:1/im;user=sa;password=PW",
	"oracle://u:PW@127.0.0.1:1/ORCL", "oracle://u:PW@127.0.0.1:1/?SID=ORCL", "oracle://u:PW@:0/?connStr=(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SID=ORCL)))", "oracel://u:PW@127.0.0.1:1/ORCL", "oracle:u/PW@127.0.0.1:1/ORCL", "oracle://u/PW@127.0.0.1:1/ORCL",
	"u/PW@127.0.0.1:1/ORCL", "u/PW@//127.0.0.1:1/ORCL", "u/PW@127.0.0.1:1:ORCL", "u/PW@ORCL", "u/PW@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SERVICE_NAME=im)))", "(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SID=im))(USER=u)(PASSWORD=PW))",
	"jdbc:oracle:thin:u/PW@127.0.0.1:1:ORCL", "jdbc:oracle:thin:u/PW@//127.0.0.1:1/ORCL", "jdbc:oracle:thin:u/PW@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=127.0.0.1)(PORT=1))(CONNECT_DATA=(SID=im)))", "jdbc:oracle:oci:u/PW@ORCL", `jdbc:oracle:thin:u/"PW"@127.0.0.1:1:ORCL`, "User Id=u;Password=PW;Data Source=127.0.0.1:1/ORCL",
	"postgres://u:PW@127.0.0.1:1/im", "host=127.0.0.1 user=u password=PW dbname=im", "jdbc:postgresql://127.0.0.1:1/im?user=u&password=PW", "jdbc:hsqldb:/opt/openfire/embedded-db/openfire;user=sa;password=PW", "jdbc:db2://127.0.0.1:1/im:user=u;password=PW;", "mongodb://u:PW@127.0.0.1:1/im",
	"file:tlim.db?_auth&_auth_user=u&_auth_pass=PW", "file:nowhere/tlim.db?key=PW", "file:nowhere/im?password=PW", "tlim.db?password=PW", "nowhere/tlim.db?key=PW", "nowhere/tlim.db;password=PW", "file:u:PW@127.0.0.1/im", "file://u:PW@127.0.0.1/im", "sqlite://u:PW@nowhere/tlim.db", "sqlite:nowhere/tlim.db?password=PW", "u：PW",
	"<username>u</username><password>PW</password>", `"serverURL":"x","password":"PW"`, "密码=PW", "密码：PW", "口令:PW@x/y",
}

// TestNoPasswordIsShown: whatever the form of an address and whatever the driver, no error, no log and no shown address has a
// part of the password.
func TestNoPasswordIsShown(t *testing.T) {
	t.Chdir(t.TempDir())
	seen := map[string]bool{}
	say := func(what, driver, address, text string) {
		if strings.Contains(text, marker) && !seen[what+driver+address] {
			seen[what+driver+address] = true
			t.Errorf("%s of %s by %s shows the password, want it hidden:\n%s", what, address, driver, text)
		}
	}
	drivers := []string{"", "sqlite", "mysql", "sqlserver", "oracle", "mysq"}
	for _, address := range addresses {
		for _, p := range passwords {
			dsn := strings.ReplaceAll(address, "PW", fmt.Sprintf(p, marker))
			shown := MaskDSN(dsn)
			say("what is shown", "any", dsn, shown)
			for _, driver := range drivers {
				err := CheckDSN(driver, dsn)
				say("the check", driver, dsn, fmt.Sprint(err))
				if err != nil && p != "%s" || err == nil && p != "%s" && p != "a@%s" {
					continue
				}
				var log bytes.Buffer
				s, err := Open(t.Context(), Config{Driver: driver, DSN: dsn, MaxWait: 100 * time.Millisecond, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
				if err == nil {
					err = s.Close()
				}
				say("opening", driver, dsn, fmt.Sprint(err)+log.String())
			}
		}
	}
}
