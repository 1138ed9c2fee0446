package stream

import (
	"encoding/xml"
	"fmt"

	xmpp "gosrc.io/xmpp/stanza"

	"tlim/component/stanza"
)

// Namespaces of the questions that are answered here, whoever asks and whatever address of C is asked. Openfire asks
// for disco#info and the version on each connection, and shows the name in its console.
const (
	nsDiscoInfo  = "http://jabber.org/protocol/disco#info"
	nsDiscoItems = "http://jabber.org/protocol/disco#items"
	nsPing       = "urn:xmpp:ping"
	nsVersion    = "jabber:iq:version"
	nsVCard      = "vcard-temp"
)

var (
	unavailable  = string(stanza.AppendError(nil, "cancel", "service-unavailable"))
	itemNotFound = string(stanza.AppendError(nil, "cancel", "item-not-found"))
)

// ownAnswers renders the results once; they do not depend on who asks.
func ownAnswers(cfg Config) map[string]string {
	info := (&xmpp.IQ{}).DiscoInfo()
	info.AddIdentity("tlim", "component", "generic")
	info.AddFeatures(nsDiscoInfo, nsDiscoItems, nsPing, nsVersion, nsVCard)
	info.AddFeatures(cfg.Features...)
	version := (&xmpp.IQ{}).Version()
	version.Name, version.Version = "tlim", cfg.Version
	return map[string]string{
		nsDiscoInfo:  render(info),
		nsDiscoItems: render((&xmpp.IQ{}).DiscoItems()),
		nsPing:       "",
		nsVersion:    render(version),
		nsVCard:      `<vCard xmlns="vcard-temp"><FN>tlim</FN></vCard>`,
	}
}

func render(payload any) string {
	b, err := xml.Marshal(payload)
	if err != nil { // of constants
		panic(fmt.Sprintf("stream: render %T: %v", payload, err))
	}
	return string(b)
}

// answerIQ answers a question: the known ones, then the product's own, and all others with service-unavailable.
func (l *link) answerIQ(st *stanza.Stanza) {
	if st.From == "" { // there is nobody to answer to
		return
	}
	for c := range st.Children() {
		content, known := l.s.l.answers[c.Space]
		if !known || st.Type != "get" {
			break
		}
		if c.Attr("node") != "" {
			if !l.hooked(st) {
				l.reply(st, "error", itemNotFound)
			}
			return
		}
		l.reply(st, "result", content)
		return
	}
	if !l.hooked(st) {
		l.reply(st, "error", unavailable)
	}
}

// hooked lets the product answer, now or later.
func (l *link) hooked(st *stanza.Stanza) bool {
	hook := l.s.l.cfg.IQ
	if hook == nil || l != l.s.intake() {
		return false
	}
	payload, handled := hook(*st)
	if handled && payload != nil {
		l.reply(st, "result", string(payload))
	}
	return handled
}

// reply sends a stanza back the way it came. It never blocks: what there is no room for, or what is over its sender's budget, is
// not answered, and counted.
func (l *link) reply(st *stanza.Stanza, typ, content string) {
	b := make([]byte, 0, 256+len(content))
	if st.Name == "iq" {
		b = stanza.AppendIQ(b, typ, st.ID, st.To, st.From, []byte(content))
	} else {
		b = append(b, '<')
		b = append(b, st.Name...)
		b = append(b, ` type="`...)
		b = append(b, typ...)
		b = append(b, `" id="`...)
		b = stanza.AppendAttr(b, st.ID)
		b = append(b, `" from="`...)
		b = stanza.AppendAttr(b, st.To)
		b = append(b, `" to="`...)
		b = stanza.AppendAttr(b, st.From)
		b = append(b, `">`...)
		b = append(b, content...)
		b = append(b, `</`...)
		b = append(b, st.Name...)
		b = append(b, '>')
	}
	if !l.answer(st.From, b) {
		l.s.l.metrics.unanswered.Inc()
	}
}
