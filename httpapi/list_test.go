package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hugeLists are a list of n different entries, in the forms in which integrators send lists.
func hugeLists(name string, n int) map[string]string {
	pick := func(each, between string, n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = strings.ReplaceAll(each, "N", fmt.Sprint(i))
		}
		return strings.Join(list, between)
	}
	return map[string]string{
		"commas":       name + "=" + pick("uN", ",", n),
		"JSON strings": name + "=[" + pick(`"uN"`, ",", n) + "]",
		"JSON objects": name + "=[" + pick(`{"user_id":"uN"}`, ",", n/3) + "]",
		"JSON5":        name + "=[" + pick(`{user_id:'uN',},`, "", n/3) + "]",
		"repeated":     pick(name+"=uN", "&", maxPairs-20),
		"one, often":   name + "=" + strings.Repeat("u,", n),
	}
}

// elements is the length of the longest array in what the Service was asked.
func elements(calls []string) (longest int) {
	var in func(v any)
	in = func(v any) {
		switch v := v.(type) {
		case []any:
			longest = max(longest, len(v))
			for _, e := range v {
				in(e)
			}
		case map[string]any:
			for _, e := range v {
				in(e)
			}
		}
	}
	for _, call := range calls {
		_, args, _ := strings.Cut(call, " ")
		d := json.NewDecoder(strings.NewReader(args))
		for {
			var v any
			if d.Decode(&v) != nil {
				break
			}
			in(v)
		}
	}
	return longest
}

// TestLists sends every parameter of every endpoint as a list of as many entries as a request can hold. Whoever reads it as a
// list refuses it by its maximum, before it costs memory or reaches the component.
func TestLists(t *testing.T) {
	const memory = 64 << 20 // allocated for one call by client, server and the recorder of this test, of at most 1 MiB
	l := newLab(t, func(c *Config) { c.Language = English })
	refusing := map[string]bool{}
	for _, rt := range l.routes() {
		for _, f := range described[rt.path].params {
			rest := form{}
			if err := rest.add(strings.ReplaceAll(rightsQuery[rt.path], "U", "zhangsan")); err != nil {
				t.Fatal(err)
			}
			delete(rest, f.name)
			if f.name == "msg_to" {
				delete(rest, "msgTo")
			}
			entries := 25_000
			if f.kind.list {
				entries = 90_000
			}
			for form, text := range hugeLists(f.name, entries) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				a := l.do(t, http.MethodPost, rt.path, "", rest.encode()+"&"+text, "Authorization", "Bearer "+adminKey)
				runtime.ReadMemStats(&after)
				calls := l.svc.taken()
				what := fmt.Sprintf("%s, %s as %s (%d KiB)", rt.path, f.name, form, len(text)>>10)
				if cost := after.TotalAlloc - before.TotalAlloc; cost > memory {
					t.Errorf("%s: %d MiB allocated, want cost at most %v", what, cost>>20, memory)
				}
				if longest := elements(calls); longest > max(3, maxEntries[f.name]) { // the rest of the call names some
					t.Errorf("%s: the component was asked about %d at once, want at most %d", what, longest, maxEntries[f.name])
				}
				if a.status >= 500 {
					t.Errorf("%s: got %d %.200s, want less than 500", what, a.status, a.body)
				}
				if a.status == http.StatusOK && strings.Contains(a.body, "entries") && strings.Contains(a.body, "error-012") {
					refusing[rt.path+" "+f.name] = true
				}
			}
			if described := f.kind.list; described != refusing[rt.path+" "+f.name] {
				t.Errorf("%s: the document says that %s is a list: %v; too many entries in it are refused: %v; want the same", rt.path, f.name, described, refusing[rt.path+" "+f.name])
			}
		}
	}
	for name := range maxEntries {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(refusing)), func(at string) bool { return strings.HasSuffix(at, " "+name) }) {
			t.Errorf("%s has a maximum, want an endpoint that reads it as a list", name)
		}
	}
}

// TestListEntries: each entry comes once, in whatever form, and as many as the maximum are taken.
func TestListEntries(t *testing.T) {
	l := newLab(t)
	a := l.post(t, "getOffline", `user_id=lisi&clear=m1,m2,,m1&clear=["m3","m2", 4]&clear= m5 `)
	if calls := l.svc.taken(); a.status != 200 || len(calls) < 1 || calls[0] != `ClearOffline "lisi" ["/lisi/m1","/lisi/m2","/lisi/m3","/lisi/4","/lisi/m5"]` {
		t.Errorf("got %d %s after %q, want 200, at least 1 calls, calls %q", a.status, a.body, calls, `ClearOffline "lisi" ["/lisi/m1","/lisi/m2","/lisi/m3","/lisi/4","/lisi/m5"]`)
	}
	for n, want := range map[int]string{maxEntries["clear"]: "ok", maxEntries["clear"] + 1: "error-012"} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			ids := make([]string, n)
			for i := range ids {
				ids[i] = fmt.Sprint("m", i)
			}
			if a := l.post(t, "getOffline", "user_id=lisi&clear="+strings.Join(ids, ",")); a.object(t)["result"] != want {
				t.Errorf("%d ids: got %s, want %v", n, a.body, want)
			}
		})
	}
	// An array that is refused for one entry says which parameter holds it.
	if a := l.post(t, "getOffline", `user_id=lisi&clear=[{}]`); a.object(t)["result"] != "error-014" {
		t.Errorf("got %s, want error-014", a.body)
	}
}
