package config

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
)

// key is one leaf of Config.
type key struct {
	name  string // xmpp.secret
	env   string // TLIM_XMPP_SECRET
	field []int
	kind  reflect.Type
}

// secret says whether KEY_file is allowed.
func (k key) secret() bool { return isSecret(k.kind) }

// elsewhere names where a secret is given that is not to stand on a command line.
func (k key) elsewhere() string {
	if k.secret() {
		return k.name + "_file or " + k.env
	}
	return k.env
}

func isSecret(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[secretValue]())
}

type secretValue interface{ reveal(string) }

// keys are all leaves of Config, in its order.
var keys = keysOf(reflect.TypeFor[Config](), "", nil)

const envPrefix = "TLIM_"

func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

func keysOf(t reflect.Type, prefix string, field []int) (list []key) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, at := prefix+f.Tag.Get("yaml"), append(slices.Clone(field), i)
		if isSection(f.Type) {
			list = append(list, keysOf(f.Type, name+".", at)...)
		} else {
			list = append(list, key{name: name, env: envName(name), field: at, kind: f.Type})
		}
	}
	return list
}

// isSection says whether a type holds keys rather than a value.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && !isSecret(t)
}
