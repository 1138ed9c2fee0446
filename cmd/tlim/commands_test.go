package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// inline is a span of code in a sentence.
	inline = regexp.MustCompile("`([^`\n]+)`")
	// written is a command line of tlim in code: at its begin, or behind what runs it.
	written = regexp.MustCompile(`(?m)(?:^|&& |\$\(|-u tlim |bin/|TLIM_[A-Z_]+=\S+ )tlim((?: +(?:\\\||[^|\n#;&)，。])+)?)`)
	// flag is one of it.
	flagged = regexp.MustCompile(`--[a-z][a-z-]*`)
	// script is one of ours with what follows.
	script = regexp.MustCompile(`(?m)(?:^|&& |\$\()(scripts/[a-z0-9-]+)((?: +[^|\n#;&)]+)?)`)
)

// codeOf is the code of a document, a line for each span and without comments; of a file that is no document all of it, where comments are the document.
func codeOf(name, text string) string {
	if filepath.Ext(name) != ".md" {
		return strings.ReplaceAll(text, "#", "\n")
	}
	var b strings.Builder
	fenced := false
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			fenced = !fenced
		case fenced:
			code, _, _ := strings.Cut(line, " #")
			b.WriteString(strings.TrimSpace(code) + "\n")
		default:
			for _, m := range inline.FindAllStringSubmatch(line, -1) {
				b.WriteString(m[1] + "\n")
			}
		}
	}
	return b.String()
}

// wrongCommands lists the command lines of a text that tlim would refuse: no such command, no such flag.
func wrongCommands(text string) (seen int, wrong []string) {
	for _, m := range written.FindAllStringSubmatch(text, -1) {
		line := strings.TrimSpace(m[1])
		root := rootCommand()
		if line == "" || strings.HasPrefix(line, "service ") && platformCommands() == nil {
			continue // the program's name; what Windows alone has
		}
		seen++
		var words []string
		for _, w := range strings.Fields(strings.NewReplacer("[", " ", "]", " ", `\|`, " ").Replace(line)) {
			if regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(w) {
				words = append(words, w)
				continue
			}
			break
		}
		command, rest, err := root.Find(words)
		if err != nil || command.HasSubCommands() && len(rest) > 0 || command == root && len(words) > 0 {
			wrong = append(wrong, "tlim "+line)
			continue
		}
		for _, flag := range flagged.FindAllString(line, -1) {
			if name := flag[2:]; name != "help" && name != "version" && command.Flags().Lookup(name) == nil && command.InheritedFlags().Lookup(name) == nil {
				wrong = append(wrong, "tlim "+line+": "+flag)
			}
		}
	}
	return seen, wrong
}

// wrongScripts lists the scripts of a text that are not there or do not know a flag that they are given.
func wrongScripts(t *testing.T, text string) (seen int, wrong []string) {
	t.Helper()
	for _, m := range script.FindAllStringSubmatch(text, -1) {
		name := filepath.Join("../..", m[1])
		info, err := os.Stat(name)
		if err == nil && info.IsDir() {
			continue
		}
		seen++
		source, err := os.ReadFile(name)
		if err != nil {
			wrong = append(wrong, m[1])
			continue
		}
		// What a script does by a program is known there.
		program, err := filepath.Glob("../../scripts/cmd/" + filepath.Base(name) + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range program {
			more, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, more...)
		}
		for _, flag := range regexp.MustCompile(`(?:^| )--?([a-z][a-z-]*)`).FindAllStringSubmatch(m[2], -1) {
			if !strings.Contains(string(source), flag[1]) {
				wrong = append(wrong, m[1]+" "+flag[1])
			}
		}
	}
	return seen, wrong
}

// Each command in a document, with its flags, is one that this tlim has, and each script is there.
func TestDocumentsNameCommandsThatAreThere(t *testing.T) {
	commands, scripts := 0, 0
	for _, name := range append(slices.Clone(documents), "deploy/tlim.yaml", "deploy/package/tlim.yaml", "deploy/package/compose.yaml", "deploy/package/nginx.conf", "deploy/tlim.service", "deploy/package/postinstall.sh") {
		text := codeOf(name, readDocument(t, name))
		n, wrong := wrongCommands(text)
		commands += n
		if name == "CHANGELOG.md" { // which may name what has gone
			wrong = nil
		}
		for _, w := range wrong {
			t.Errorf("%s: %s: want a command and flags that are there", name, w)
		}
		n, wrong = wrongScripts(t, text)
		scripts += n
		for _, w := range wrong {
			t.Errorf("%s: %s: want a script that is there and its flags", name, w)
		}
	}
	if commands < 120 || scripts < 25 {
		t.Errorf("%d commands and %d scripts were read, want those of all documents", commands, scripts)
	}
	_, wrong := wrongCommands(codeOf("README.md", "tlim is no command here. `tlim status`, `tlim nothing`, `tlim status --nothing`, `sudo -u tlim tlim keys new oa --rate 3`, `tlim keys newer x`\n```\ntlim config show --json # --odd\ntlim odd\n```\n`tlim events replay EVENT\\|--all [--json]`"))
	if want := []string{"tlim nothing", "tlim status --nothing: --nothing", "tlim keys newer x", "tlim odd"}; !slices.Equal(wrong, want) {
		t.Errorf("of a made-up text: got %q, want %q", wrong, want)
	}
	if _, wrong := wrongScripts(t, codeOf("README.md", "`scripts/nothing`, `scripts/demo --once`, `scripts/bench -only group`, `scripts/demo --never-heard-of`")); !slices.Equal(wrong, []string{"scripts/nothing", "scripts/demo never-heard-of"}) {
		t.Errorf("of made-up scripts: got %q, want those that are not there", wrong)
	}
}
