package httpapi

import (
	"slices"
	"strings"

	"tlim/component/bilingual"
)

// chineseStates are the Chinese sentences of the states of parts, whose own text is English; by the part and its state. Behind a colon follows
// the English one, with what only that knows.
var chineseStates = map[string]string{
	"database away":     "数据库无法访问",
	"database starting": "数据库：正在启动",

	"link standby":      "XMPP 连接：备用机不连接服务器",
	"link starting":     "XMPP 连接：正在启动",
	"link connecting":   "正在连接 XMPP 服务器",
	"link refused":      "XMPP 服务器拒绝连接：请启动服务器，或在该端口上启用外部组件服务",
	"link dns":          "XMPP 服务器的主机名无法解析：请检查 xmpp.server 或域名服务",
	"link unreachable":  "XMPP 服务器没有按时应答：请检查地址、防火墙，以及该端口是否要求 TLS",
	"link tls":          "与 XMPP 服务器的 TLS 握手失败：请确认这是 TLS 端口，并核对 xmpp.ca_file、xmpp.server_name 与服务器证书",
	"link no-component": "该端口不接受外部组件：请确认它是服务器的外部组件端口，且组件域名不是服务器自己的域名",
	"link secret":       "服务器不接受组件密钥：xmpp.secret 与服务器外部组件设置中的密钥必须一致",
	"link conflict":     "服务器拒绝此组件域名：已有另一连接使用该名称，或服务器的外部组件设置不允许它、没有密钥",
	"link host-unknown": "服务器不认识此组件域名：请在其外部组件设置中允许该子域",
	"link domain":       "该服务器的域名与 xmpp.domain 不符，或服务器没有响应；Openfire 控制台首页的“XMPP 域名”是它的域名",
	"link stream-end":   "服务器正常关闭了连接（如重启或空闲超时），正在重新连接",
	"link stream-error": "服务器因错误关闭了连接，正在重新连接",
	"link lost":         "与 XMPP 服务器的连接中断，正在重新连接",
	"link deaf":         "服务器不再应答 ping：它可能已停止响应，正在重新连接",
	"link stalled":      "服务器不再接收数据：它可能已停止响应或过载，正在重新连接",
	"link syntax":       "服务器发来的不是 XML：请确认这是外部组件端口；正在重新连接",
	"link closed":       "XMPP 连接已关闭",

	"messages standby":  "备用机，不处理消息",
	"messages starting": "消息：正在启动",
	"messages waiting":  "消息暂时不能存储或投递",
	"messages stopping": "正在停止，发送方会收到 error-013",
}

// StateInChinese is what a part's state means. A state that has no sentence keeps its English one.
func StateInChinese(part, state, english string) string {
	said := chineseStates[part+" "+state]
	if said == "" || english == "" {
		return english
	}
	return said + "（" + strings.TrimPrefix(english, part+": ") + "）"
}

// inChinese puts the words of readiness and of losses into Chinese.
func (p *ProcessState) inChinese() {
	reasons := map[string]string{}
	say := func(part string, ok bool, state string, english *string) {
		said := StateInChinese(part, state, *english)
		if !ok {
			reasons[*english] = said
		}
		*english = said
	}
	say("link", p.Link.OK, p.Link.State, &p.Link.Text)
	say("database", p.Database.OK, p.Database.State, &p.Database.Text)
	say("messages", p.Messages.OK, p.Messages.State, &p.Messages.Text)
	p.Reasons = slices.Clone(p.Reasons)
	for i, english := range p.Reasons {
		if said := reasons[english]; said != "" {
			p.Reasons[i] = said
		}
	}
	p.Losses = slices.Clone(p.Losses)
	for i := range p.Losses {
		l := &p.Losses[i]
		l.Text = StateInChinese(l.What, l.State, l.Text)
	}
	p.Warnings = slices.Clone(p.Warnings)
	for i, english := range p.Warnings {
		p.Warnings[i] = chineseWarning(english)
	}
}

// chineseWarning is a warning in Chinese. The store puts some together: a table, what is wrong with it, and at the end the remedy in brackets.
func chineseWarning(english string) string {
	if said := warnings.Chinese(english); said != english {
		return said
	}
	what, remedy := english, ""
	if at := lastBracket(english); at > 0 {
		what, remedy = strings.TrimSpace(english[:at]), "（"+warnings.Chinese(english[at+1:len(english)-1])+"）"
	}
	if said := warnings.Chinese(what); said != what {
		return said + remedy
	}
	table, faults, _ := strings.Cut(what, " ")
	var said []string
	for _, fault := range strings.Split(faults, ", and has ") {
		if len(said) > 0 {
			fault = "has " + fault
		}
		chinese := warnings.Chinese(fault)
		if chinese == fault {
			return english
		}
		said = append(said, chinese)
	}
	return table + " " + strings.Join(said, "；") + remedy
}

// lastBracket is where the bracket opens that closes at the end of a text; -1 where none does.
func lastBracket(text string) int {
	if !strings.HasSuffix(text, ")") {
		return -1
	}
	for at, open := len(text)-1, 0; at >= 0; at-- {
		switch text[at] {
		case ')':
			open++
		case '(':
			if open--; open == 0 {
				return at
			}
		}
	}
	return -1
}

// warnings are in Chinese what the store found at its start, and degraded.
var warnings = bilingual.New(chineseWarnings)

// chineseWarnings are their sentences, and parts of them, by the English formats. A test looks that none lacks.
var chineseWarnings = map[string]string{
	// what a character set or a collation does
	"%s has the character set %s: %s. In a quiet hour, %s; then restart tlim":          "%s 的字符集是 %s：%s。请在业务低峰时执行：%s；然后重启 tlim",
	"every Chinese message is refused, with error-012":                                 "所有中文消息都会被拒绝（error-012）",
	"every Chinese message to somebody whose phone is away is refused, with error-012": "发给手机不在线者的中文消息都会被拒绝（error-012）",
	"has the character set %s: %s":                                                     "字符集为 %s：%s",
	"has the collation %s, which takes lísi for lisi: ids that differ in no more cannot both be in it, and other programs find one by the other": "排序规则为 %s，会把 lísi 当作 lisi：只有这种差别的标识不能并存，其他程序会把两者混淆",
	"the tables have different collations (%s): other programs that join them get an error, or read without an index":                            "各表的排序规则不一致（%s）：其他程序关联查询这些表时会出错，或用不上索引",
	"%s; convert all to %s":                             "%s；请全部转换为 %s",
	"messages with %s are refused":                      "含%s的消息会被拒绝",
	"announcements with %s are refused":                 "含%s的公告会被拒绝",
	"names lose %s":                                     "名称会丢失%s",
	"texts with %s are refused":                         "含%s的文本会被拒绝",
	"Chinese and emoji":                                 "中文或表情",
	"emoji and most Chinese":                            "表情或大部分汉字",
	"emoji and rare Chinese characters (beyond U+FFFF)": "表情或生僻字（U+FFFF 以上）",
	"emoji and characters that %s lacks":                "表情或 %s 没有的字符",

	// tables and columns
	"table %s is missing":  "缺少表 %s",
	"column %s is missing": "缺少列 %s",
	"%s.%s is %s and does not number itself: it has to take a text of 36 characters (%s)":                                                                                                    "%s.%s 的类型是 %s，且不会自动编号：它必须能容纳 36 个字符的文本（%s）",
	"%s.%s is %s and takes no milliseconds: the old plugin cannot run on it either (make it varchar(20) as the plugin's own script does, and its values milliseconds since 1970, 13 digits)": "%s.%s 的类型是 %s，存不下毫秒数：旧插件也不能在它上面运行（请照插件自己的脚本改为 varchar(20)，其值为 1970 年以来的毫秒数，13 位）",
	"%s.body holds %d characters: longer messages are refused (%s)":                                                                                                                          "%s.body 最多容纳 %s 个字符：更长的消息会被拒绝（%s）",
	"the length of %s.body is of bytes: %d Chinese characters fit (%s)":                                                                                                                      "%s.body 的长度按字节计：能容纳 %s 个汉字（%s）",
	"%s.%s has used %.0f %% of its numbers; above 90 tlim does not start (%s, which locks the table)":                                                                                        "%s.%s 的编号已用 %s%%；超过 90%% 时 tlim 不会启动（%s；执行时锁表）",

	// what the server or the file is set to
	"innodb_flush_log_at_trx_commit is %d: messages that were acknowledged can be lost in a power cut":                                                                "innodb_flush_log_at_trx_commit 为 %s：断电时可能丢失已确认的消息",
	"sync_binlog is %d: after a power cut a replica can lack messages that were acknowledged":                                                                         "sync_binlog 为 %s：断电后从库可能缺少已确认的消息",
	"%s is kept by %s, which has no transactions: a crash can lose or double what was acknowledged":                                                                   "%s 使用 %s 引擎，没有事务：崩溃时已确认的消息可能丢失或重复",
	"READ_COMMITTED_SNAPSHOT is off: reads wait for writes, and writes for reads (ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON, with nobody else connected)": "READ_COMMITTED_SNAPSHOT 未开启：读写互相等待（ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON，执行时不能有其他连接）",
	"DELAYED_DURABILITY is FORCED: messages that were acknowledged can be lost in a power cut (ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED)":             "DELAYED_DURABILITY 为 FORCED：断电时可能丢失已确认的消息（ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED）",
	"the SQLite file is in journal_mode %s: reads wait for writes, put it on a local disk, where it can be wal":                                                       "SQLite 文件的 journal_mode 是 %s：读要等待写；请把它放在本地磁盘上，才能使用 wal",
	"the SQLite file has synchronous %d: messages that were acknowledged can be lost in a power cut, leave synchronous out of store.dsn":                              "SQLite 文件的 synchronous 是 %s：断电时可能丢失已确认的消息；请从 store.dsn 中去掉 synchronous",

	// who can read the file
	"every user of this machine can read %s, which holds everybody's messages, and its rights cannot be changed: %v (chmod 600)":                                           "本机所有用户都能读取 %s，其中有所有人的消息，且无法修改其权限：%s（chmod 600）",
	"every user of this machine could read %s, which holds everybody's messages; its mode is %#o now":                                                                      "本机所有用户曾能读取 %s，其中有所有人的消息；现已将其权限改为 %s",
	"the group of %s can read everybody's messages: if that is not meant for backups, chmod 600":                                                                           "%s 所属的用户组能读取所有人的消息：如果不是用于备份，请执行 chmod 600",
	"others may read %s, which holds everybody's messages, and its rights cannot be changed: %v (%s)":                                                                      "其他用户可能读取 %s，其中有所有人的消息，且无法修改其权限：%s（%s）",
	"%s could read %s, which holds everybody's messages; its owner and administrators alone can now":                                                                       "%s 曾能读取 %s，其中有所有人的消息；现在只有其所有者和管理员能读",
	"%s can read what SQLite makes beside %s, for the folder is open: give the database a folder of its own, and take their rights from it (tlim service install does so)": "%s 能读取 SQLite 在 %s 旁生成的文件，因为该文件夹是开放的：请为数据库单独建一个文件夹，并取消他人的权限（tlim service install 会这样做）",

	// remedies; statements stay as they are
	"set it to 1: SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's configuration file":                                  "请设为 1：SET GLOBAL innodb_flush_log_at_trx_commit = 1，并写入服务器的配置文件",
	"set it to 1: SET GLOBAL sync_binlog = 1, and in the server's configuration file":                                                     "请设为 1：SET GLOBAL sync_binlog = 1，并写入服务器的配置文件",
	"ALTER TABLE %s ENGINE=InnoDB, which locks the table":                                                                                 "ALTER TABLE %s ENGINE=InnoDB，执行时锁表",
	"ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, which locks the table":                                          "ALTER TABLE %s CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin，执行时锁表",
	"a table has the character set of its database: move the database to AL32UTF8 with Oracle's Database Migration Assistant for Unicode": "表的字符集就是数据库的字符集：请用 Oracle 的 Database Migration Assistant for Unicode 把数据库迁移到 AL32UTF8",
	"make the table anew with %s nvarchar(64) NOT NULL":                                                                                   "请重建该表，列为 %s nvarchar(64) NOT NULL",
	"make the table anew with %s varchar(64)":                                                                                             "请重建该表，列为 %s varchar(64)",
	"make the table anew with body text":                                                                                                  "请重建该表，列为 body text",
	"make the table anew without COLLATE":                                                                                                 "请重建该表，不带 COLLATE",
	"%s; each locks the table, and an index of the column has to be dropped before":                                                       "%s；每条语句都会锁表，且要先删除该列上的索引",
	"; then make %s again, as your own scripts have it":                                                                                   "；然后按你们自己的脚本重建 %s",

	"the clock stored in tlim_state (%s) is %v ahead of this machine's (%s), so messages get times of the future. If this machine's clock is wrong, set it. " +
		"If it is right, it once was not: stop tlim and run: UPDATE ofmessage SET msg_time = '%d' WHERE msg_time > '%d'; UPDATE ofcustomoffline SET msg_time = '%d' WHERE msg_time > '%d'; " +
		"UPDATE tlim_state SET clock = %d, delivered = %d, settled = %d WHERE id = 1": "tlim_state 中保存的时钟（%s）比本机快 %s（本机 %s），所以消息会带上未来的时间。如果本机时钟不对，请校准。" +
		"如果本机时钟正确，说明它曾经不对：请停止 tlim 并执行：UPDATE ofmessage SET msg_time = '%s' WHERE msg_time > '%s'; UPDATE ofcustomoffline SET msg_time = '%s' WHERE msg_time > '%s'; " +
		"UPDATE tlim_state SET clock = %s, delivered = %s, settled = %s WHERE id = 1",
}
