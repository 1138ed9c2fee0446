package httpapi

import (
	"cmp"

	"tlim/component"
)

// refusedRow is a message that was refused: nothing of it is stored.
type refusedRow struct {
	At    int64  `json:"at"`
	Code  string `json:"code"`
	From  string `json:"msg_from,omitempty"`
	MsgID string `json:"msg_id,omitempty"`
	To    string `json:"msg_to,omitempty"`
	Type  string `json:"msg_type,omitempty"`
	Text  string `json:"text"`
}

// refusedRows are the refusals of a message id or, where that is "", those that concern a user, with their reasons in words.
func refusedRows(list []component.Refusal, language Language) []refusedRow {
	rows := []refusedRow{}
	for _, one := range list {
		rows = append(rows, refusedRow{At: one.At.UnixMilli(), Code: string(one.Why.Code), From: one.From, MsgID: one.MsgID, To: one.To, Type: one.Type,
			Text: whyRefused(one, language)})
	}
	return rows
}

func whyRefused(one component.Refusal, language Language) string {
	if language == English {
		return one.Why.Text
	}
	return cmp.Or(one.Why.Chinese, chineseCodes[one.Why.Code], one.Why.Text)
}
