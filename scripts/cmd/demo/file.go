package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"tlim/scripts/lab"
)

var fileID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// file uploads with curl as an app does, sends the id in a message, and downloads by it: first a part, then the rest, as after
// a line that broke.
func (d *demo) file(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "tlim-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	content := make([]byte, 3<<20)
	rand.Read(content)
	sent, got := filepath.Join(dir, "年报 1.bin"), filepath.Join(dir, "got")
	if err := os.WriteFile(sent, content, 0o600); err != nil {
		return err
	}

	// 1. up
	out, err := exec.CommandContext(ctx, "curl", "-sS", "-H", "Authorization: Bearer "+d.tlim.Key, "-F", "user_id=zhangsan", "-F", "mFile=@"+sent,
		d.tlim.URL+"/mobileHttpController/uploadForJsonFileId").CombinedOutput()
	if err != nil {
		return fmt.Errorf("curl: %w: %s", err, out)
	}
	var answer struct{ FileID string }
	if err := json.Unmarshal(out, &answer); err != nil || !fileID.MatchString(answer.FileID) {
		return fmt.Errorf("the answer is %s", out)
	}

	// 2. across
	id := lab.NewID()
	body := []map[string]string{{"fileId": answer.FileID}}
	if err := d.zhangsan.SendMessage(d.address(), id, lab.NewEnvelope("MTT-002", "zhangsan", "lisi", id, body)); err != nil {
		return err
	}
	m, err := d.lisi.WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTT-002", id) })
	if err != nil {
		return fmt.Errorf("lisi: %w", err)
	}
	if !bytes.Contains([]byte(m.Body), []byte(answer.FileID)) {
		return fmt.Errorf("the message is %s", m.Body)
	}

	// 3. down: without a key, by the link alone (files.access: link)
	link := d.tlim.URL + "/upload/download?fileId=" + answer.FileID
	if err := os.WriteFile(got, content[:1<<20], 0o600); err != nil { // what came before the break
		return err
	}
	if out, err := exec.CommandContext(ctx, "curl", "-sS", "-f", "-C", "-", "-o", got, link).CombinedOutput(); err != nil {
		return fmt.Errorf("curl: %w: %s", err, out)
	}
	whole, err := os.ReadFile(got)
	if err != nil {
		return err
	}
	if !bytes.Equal(whole, content) {
		return fmt.Errorf("%d bytes came back of %d, or other ones", len(whole), len(content))
	}
	return nil
}
