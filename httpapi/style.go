package httpapi

import (
	"context"
	"strconv"
	"strings"

	"tlim/store"
)

func (a *API) addStyle(ctx context.Context, r *request) (any, error) {
	style := store.Style{UserID: r.user("user_id"), Name: r.text("style_name", maxID), Value: r.integer("style_value")}
	if style.Name == "" {
		r.refuse(badRequest(textMissing, "style_name"))
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.SetStyle(ctx, style, !r.payer.keyed)
}

func (a *API) findStyleList(ctx context.Context, r *request) (any, error) {
	user := r.user("user_id")
	if r.err != nil {
		return nil, r.err
	}
	styles, err := a.reads.StylesOf(ctx, user)
	if err != nil {
		return nil, err
	}
	type row struct {
		ID     string `json:"style_id,omitempty"`
		Name   string `json:"style_name,omitempty"`
		Value  int    `json:"style_value"`
		UserID string `json:"user_id,omitempty"`
	}
	rows := make([]row, 0, len(styles))
	for _, y := range styles {
		rows = append(rows, row{y.ID, y.Name, y.Value, y.UserID})
	}
	return object{"ofStyleList": rows}, nil
}

// integer is a number of an int column: absent or empty is 0, as in the old server.
func (r *request) integer(name string) int {
	v := strings.TrimSpace(r.first(name))
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		r.refuse(badRequest(textNotNumber, name))
	}
	return int(n)
}

// bit is a number that is 0 or 1.
func (r *request) bit(name string) int {
	n := r.integer(name)
	if n != 0 && n != 1 {
		r.refuse(badRequest(textNotBit, name))
	}
	return n
}
