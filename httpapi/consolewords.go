package httpapi

import (
	"slices"
	"strings"
)

// chineseStates are the Chinese sentences of the states of parts, whose own text is English; by the part and its state. Behind a colon follows
// the English one, with what only that knows.
var chineseStates = map[string]string{
	"database away":     "数据库无法访问",
	"database starting": "数据库：正在启动",

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

	"messages starting": "消息：正在启动",
	"messages waiting":  "消息暂时不能存储或投递",
	"messages stopping": "正在停止，发送方会收到 error-013",
}

// chinese is what a part's state means. A state that has no sentence keeps its English one.
func chinese(part, state, english string) string {
	said := chineseStates[part+" "+state]
	if said == "" || english == "" {
		return english
	}
	return said + "（" + strings.TrimPrefix(english, part+": ") + "）"
}

// inChinese puts the words of readiness and of losses into Chinese.
func (s *ProcessState) inChinese() {
	reasons := map[string]string{}
	say := func(part string, ok bool, state string, english *string) {
		said := chinese(part, state, *english)
		if !ok {
			reasons[*english] = said
		}
		*english = said
	}
	say("link", s.Link.OK, s.Link.State, &s.Link.Text)
	say("database", s.Database.OK, s.Database.State, &s.Database.Text)
	say("messages", s.Messages.OK, s.Messages.State, &s.Messages.Text)
	s.Reasons = slices.Clone(s.Reasons)
	for i, english := range s.Reasons {
		if said := reasons[english]; said != "" {
			s.Reasons[i] = said
		}
	}
	s.Losses = slices.Clone(s.Losses)
	for i := range s.Losses {
		l := &s.Losses[i]
		l.Text = chinese(l.What, l.State, l.Text)
	}
}
