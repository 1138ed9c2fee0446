package config

import (
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Listed is one key of a configuration as it may be shown.
type Listed struct {
	Key, Value string
	Source     string // default, file, environment or command line: the highest that names it
}

// List lists all keys of a configuration that was loaded from there, with the source of each, no secret among them, and says which file that was.
func (c Config) List(from Sources) (path string, list []Listed, err error) {
	path, data, err := readConfigFile(from.File)
	if err != nil {
		return "", nil, err
	}
	if path != "" {
		if path, err = filepath.Abs(path); err != nil {
			return "", nil, fmt.Errorf("list the configuration: %w", err)
		}
	}
	r := newReader(path, "")
	r.readAll(r.readFile(data), os.Environ(), from.Set) // its problems are those of the load
	shown := reflect.ValueOf(c.Shown())
	for _, k := range keys {
		rank := r.rank(k.name, k.env)
		if k.secret() {
			rank = max(rank, r.rank(k.name+"_file", k.env+"_FILE"))
		}
		value, err := shownText(shown.FieldByIndex(k.field))
		if err != nil {
			return "", nil, fmt.Errorf("list %s: %w", k.name, err)
		}
		list = append(list, Listed{Key: k.name, Value: value, Source: sourceNames[rank]})
	}
	return path, list, nil
}

// sourceNames are those of the ranks of [reader.rank].
var sourceNames = [...]string{"default", "file", "environment", "command line"}

// shownText is a value as `tlim config show` has it.
func shownText(v reflect.Value) (string, error) {
	if t, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := t.MarshalText()
		return string(text), err
	}
	if v.Kind() == reflect.String {
		return v.String(), nil
	}
	text, err := yaml.Marshal(v.Interface())
	return strings.TrimSpace(string(text)), err
}
