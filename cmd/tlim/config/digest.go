package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// own are the keys in which two processes on one database may differ: where this machine listens and finds things, and how much it says. Those that
// are compared in another way, and refused, are among them.
var own = []string{
	"http.listen", "http.key_file", "http.tls.cert_file", "http.tls.key_file", "metrics.listen", "log.level", "log.format", "shutdown_timeout",
	"xmpp.server", "xmpp.server_name", "xmpp.ca_file", "xmpp.domain", "xmpp.component", "web.xmpp_url",
	"store.driver", "store.dsn", "store.max_open", "store.max_idle", "store.max_lifetime", "store.max_wait", "store.migrate", "directory.dsn",
	"files.dir", "files.s3.endpoint", "standby.enabled",
}

// Digests has a digest of each value that is not as by default, as "key=digest key=digest". It is so short that it tells of a secret whether two are
// the same, and next to nothing of what it is; salt is another one for each process.
func (c Config) Digests(salt string) string {
	var list []string
	ours, standard := reflect.ValueOf(c), reflect.ValueOf(Default())
	for _, k := range keys {
		value := plain(ours.FieldByIndex(k.field))
		if slices.Contains(own, k.name) || value == plain(standard.FieldByIndex(k.field)) {
			continue
		}
		hash := hmac.New(sha256.New, []byte(salt))
		fmt.Fprintf(hash, "%s %s", k.name, value)
		list = append(list, k.name+"="+hex.EncodeToString(hash.Sum(nil)[:2]))
	}
	return strings.Join(list, " ")
}

// Differing are the keys in which c is not the configuration of which the digests are.
func (c Config) Differing(salt, theirs string) (keys []string) {
	ours := strings.Fields(c.Digests(salt))
	other := strings.Fields(theirs)
	for _, entry := range append(slices.Clone(ours), other...) {
		if slices.Contains(ours, entry) && slices.Contains(other, entry) {
			continue
		}
		if key, _, _ := strings.Cut(entry, "="); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// plain is a value as text, secrets as they are: only digests are made of it.
func plain(v reflect.Value) string {
	if secret, ok := v.Interface().(interface{ Reveal() string }); ok {
		return fmt.Sprintf("%q", secret.Reveal())
	}
	switch {
	case v.Kind() == reflect.Slice:
		texts := make([]string, v.Len())
		for i := range texts {
			texts[i] = plain(v.Index(i))
		}
		return fmt.Sprint(texts)
	case isSection(v.Type()):
		var texts []string
		for _, value := range v.Fields() {
			texts = append(texts, plain(value))
		}
		return fmt.Sprint(texts)
	}
	return fmt.Sprintf("%q", fmt.Sprint(v.Interface()))
}
