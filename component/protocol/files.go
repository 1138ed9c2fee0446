package protocol

import (
	"strings"

	"github.com/tidwall/gjson"

	"tlim/store"
)

// fileID is the length of the ids that our uploads answer: 128 bits in hex. Ids of the old system have other forms, and
// their files are not ours to guard.
const fileID = 32

// FileUses are the files that a message names, so that files.access strict knows who was sent them. A body that is
// compressed or encrypted names none.
func (e *Envelope) FileUses() (uses []store.FileUse) {
	if e.Opaque || !strings.Contains(e.Body, `"fileId"`) {
		return nil
	}
	for _, o := range gjson.Parse(e.Body).Array() {
		id := o.Get("fileId")
		if id.Type == gjson.String && len(id.Str) == fileID && strings.Trim(id.Str, "0123456789abcdef") == "" && len(uses) < maxFileUses {
			uses = append(uses, store.FileUse{FileID: id.Str, MsgID: e.MsgID})
		}
	}
	return uses
}

// maxFileUses bounds the rows of one message; clients send one file each.
const maxFileUses = 64
