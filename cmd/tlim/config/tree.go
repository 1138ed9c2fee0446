package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// readFile turns the YAML text into a tree whose leaves are texts, so that each key's own type reads it: YAML alone would
// take the secret 0123 for the number 83.
func (r *reader) readFile(data []byte) map[string]any {
	data, wrong := decodeText(data)
	if wrong != nil {
		r.add("%s:%v", r.file, wrong)
		r.unread = true
		return nil
	}
	r.slips = findSlips(string(data))
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil // empty, or comments only
	case err != nil:
		r.add("%s%s", r.file, sayYAML(err))
		r.unread = true
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		r.add("%s: holds more than one document", r.file)
	}
	tree, _ := r.tree(&doc, reflect.TypeFor[Config](), "").(map[string]any)
	return tree
}

// tree reads one node. Its depth is bounded by that of t: an unknown name is reported, not followed.
func (r *reader) tree(n *yaml.Node, t reflect.Type, name string) any {
	for n.Kind == yaml.DocumentNode || n.Kind == yaml.AliasNode {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		} else {
			n = n.Content[0]
		}
	}
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil // "xmpp:" with everything below commented out: the defaults hold
	case isSection(t):
		return r.mapping(n, t, name)
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for i, item := range n.Content {
			list = append(list, r.tree(item, t.Elem(), fmt.Sprintf("%s[%d]", name, i)))
		}
		return list
	case n.Kind == yaml.ScalarNode:
		return n.Value
	case t.Kind() == reflect.Slice:
		r.add("%s: %s: a list is expected here, like [a, b]", r.at(n), name)
		return nil
	}
	r.add("%s: %s: a single value is expected here", r.at(n), name)
	return nil
}

func (r *reader) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.file, n.Line) }

// mapping reads the keys of a section or of a list element.
func (r *reader) mapping(n *yaml.Node, t reflect.Type, name string) any {
	if n.Kind != yaml.MappingNode {
		if name == "" {
			r.add("%s: the file must hold keys and values, like \"log: {level: info}\"", r.at(n))
		} else {
			r.add("%s: %s is a section: its keys stand below it", r.at(n), name)
		}
		return nil
	}
	tree := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, full := strings.ToLower(n.Content[i].Value), ""
		if full = k; name != "" {
			full = name + "." + k
		}
		kind, ok := fieldOf(t, k)
		if !ok {
			r.add("%s: %s", r.at(n.Content[i]), unknownKey(name, k))
			continue
		}
		if _, twice := r.lines[full]; twice {
			r.add("%s: %s is given twice, first in line %d", r.at(n.Content[i]), full, r.lines[full])
			continue
		}
		r.lines[full] = n.Content[i].Line
		if value := r.tree(n.Content[i+1], kind, full); value != nil {
			tree[k] = value
		}
	}
	return tree
}

// fieldOf finds the type of a key in a section; KEY_file of a secret is a text.
func fieldOf(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if tag := f.Tag.Get("yaml"); tag == name {
			return f.Type, true
		} else if tag+"_file" == name && isSecret(f.Type) {
			return reflect.TypeFor[string](), true
		}
	}
	return nil, false
}
