package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Each key that two processes share is named when it differs, and no other one; nothing of a value is told.
func TestDiffering(t *testing.T) {
	theirs, all := Default(), Default()
	var named []string
	for _, k := range keys {
		ours := theirs
		for _, c := range []*Config{&ours, &all} {
			alter(reflect.ValueOf(c).Elem().FieldByIndex(k.field))
		}
		want := []string(nil)
		if !slices.Contains(own, k.name) {
			want = []string{k.name}
			named = append(named, k.name)
		}
		if got, back := ours.Differing("p1", theirs.Digests("p1")), theirs.Differing("p1", ours.Digests("p1")); !slices.Equal(got, want) || !slices.Equal(back, want) {
			t.Errorf("%s is another one: got %q and %q, want %q", k.name, got, back, want)
		}
	}
	for _, name := range own {
		if !slices.ContainsFunc(keys, func(k key) bool { return k.name == name }) {
			t.Errorf("got no key %s, want each that is a machine's own to be one", name)
		}
	}
	digests := all.Digests("p1")
	if len(digests) > 2000 {
		t.Errorf("got %d characters for all keys, want no more than the column takes, 2000", len(digests))
	}
	for entry := range strings.FieldsSeq(digests) {
		if _, digest, _ := strings.Cut(entry, "="); len(digest) != 4 {
			t.Errorf("got %q, want 16 bits of a digest", entry)
		}
	}
	if slices.Sort(named); !slices.Equal(all.Differing("p1", theirs.Digests("p1")), named) {
		t.Errorf("got %q, want %q", all.Differing("p1", theirs.Digests("p1")), named)
	}
	if all.Digests("p2") == digests {
		t.Error("got the same digests for another process, want others")
	}
}

// alter gives a value that is not the one before.
func alter(v reflect.Value) {
	switch secret, ok := v.Addr().Interface().(secretValue); {
	case ok:
		secret.reveal("another one")
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.CanInt():
		v.SetInt(v.Int() + 1)
	case v.CanFloat():
		v.SetFloat(v.Float() + 1)
	case v.Kind() == reflect.Slice: // with one more, whose own fields are others too
		more := reflect.New(v.Type().Elem()).Elem()
		if more.Kind() != reflect.Struct {
			alter(more)
		}
		v.Set(reflect.Append(v, more))
	case v.Type() == reflect.TypeFor[URL]():
		v.Set(reflect.ValueOf(URL{"http://another.example"}))
	}
}
