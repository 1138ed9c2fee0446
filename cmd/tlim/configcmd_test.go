package main

import (
	"bytes"
	"strings"
	"testing"

	"tlim/cmd/tlim/config"
)

func TestShowMasksSecrets(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "tlim.yaml", `
xmpp: {domain: im.test, secret: hush-xmpp}
store: {driver: mysql, dsn: "tlim:hush@db:x@tcp(10.0.0.1:3306)/im"}
http: {keys: [{name: crm, key: hush-0123456789abcdef, scopes: [business]}]}
`)
	var out bytes.Buffer
	if err := showConfig(&out, config.Sources{File: path}, false); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hush") {
		t.Errorf("a secret is shown, want it masked:\n%s", out.String())
	}
	for _, want := range []string{"secret: '********'", "dsn: tlim:********@tcp(10.0.0.1:3306)/im", "body: 64KiB", "max_lifetime: 10m", "max_remove: 5%", "token_life: 1h"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing, want it in\n%s", want, out.String())
		}
	}
}
