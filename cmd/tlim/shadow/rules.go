package shadow

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"

	"tlim/component/lenient"
	"tlim/component/protocol"
)

// Rule names a heading of component/PROTOCOL.md by which tlim does otherwise than the plugin. "" is no rule.
type Rule string

// The rules; a test finds each heading in the document.
const (
	Unexplained   Rule = ""
	RuleStanza    Rule = "1. Stanza"
	RuleAddresses Rule = "Addresses"
	RuleIDs       Rule = "Ids"
	RuleLenient   Rule = "Lenient JSON"
	RuleReading   Rule = "One text, one reading"
	RuleBodies    Rule = "Stored bodies"
	RuleSizes     Rule = "Sizes"
	RuleTypes     Rule = "3. Message types"
	RuleGroups    Rule = "Groups"
	RuleIdentity  Rule = "Identity"
	RuleOnce      Rule = "Exactly once"
	RuleOffline   Rule = "Offline messages"
	RuleReceipts  Rule = "Read receipts"
	RuleRevoke    Rule = "6. Revocation"
	RuleDissolve  Rule = "7. Dissolving"
	RuleErrors    Rule = "8. Errors to the sender"
)

// Rules are all of them.
func Rules() []Rule {
	return []Rule{RuleStanza, RuleAddresses, RuleIDs, RuleLenient, RuleReading, RuleBodies, RuleSizes, RuleTypes, RuleGroups, RuleIdentity, RuleOnce,
		RuleOffline, RuleReceipts, RuleRevoke, RuleDissolve, RuleErrors}
}

// refusalRules are the rules by which tlim refuses what the plugin stores; error-011 has several, see ruleOf.
var refusalRules = map[protocol.Code]Rule{
	protocol.BodyEmpty: RuleStanza, protocol.TypeInvalid: RuleTypes, protocol.NotJSON: RuleLenient, protocol.NotArray: RuleReading,
	protocol.GroupIDEmpty: RuleAddresses, protocol.UserIDInvalid: RuleIDs, protocol.NoSuchGroup: RuleGroups, protocol.TooLarge: RuleSizes,
	protocol.IDConflict: RuleOnce,
}

// ruleOf is the rule by which tlim refuses a message.
func (m *message) ruleOf(code protocol.Code) Rule {
	if code != protocol.NotAllowed {
		return refusalRules[code]
	}
	switch {
	case !protocol.SameUser(m.from, m.sender):
		return RuleIdentity
	case m.is().Revoke:
		return RuleRevoke
	case m.is().Receipt:
		return RuleReceipts
	case m.is().ByServer:
		return RuleDissolve
	case m.is().Group:
		return RuleGroups
	case m.is().Outside:
		return RuleTypes
	}
	return RuleIdentity // what else is not allowed is to write as somebody
}

// sameBody says whether two stored bodies read the same, and by which rule where they are written differently.
func sameBody(ours, theirs string) (Rule, bool) {
	if ours == theirs {
		return "", true
	}
	if readsSame(ours, theirs) {
		return RuleBodies, true
	}
	if plain, err := url.QueryUnescape(theirs); err == nil && strings.HasPrefix(theirs, "%5B") && (plain == ours || readsSame(ours, plain)) {
		return RuleBodies, true // as releases of 2018 stored it
	}
	return "", false
}

func readsSame(ours, theirs string) bool {
	a, ok := reading(ours)
	b, also := reading(theirs)
	return ok && also && reflect.DeepEqual(a, b)
}

// reading is the value of a JSON text, numbers as they are written.
func reading(text string) (v any, ok bool) {
	strict, err := lenient.JSON(text)
	if err != nil {
		return nil, false
	}
	dec := json.NewDecoder(strings.NewReader(strict))
	dec.UseNumber()
	return v, dec.Decode(&v) == nil
}
