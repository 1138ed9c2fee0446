package push

import (
	"context"
	"net/http"
	"time"
)

// Check asks the vendor for the name of a call that is never made: whether key and secret are taken, without a push to anybody.
func (j *JPush) Check(ctx context.Context) error {
	resp, body, err := j.request(ctx, http.MethodGet, "/v3/push/cid?count=1", nil)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 == 2 {
		return nil
	}
	_, err = j.judge(resp, body, nil, time.Now())
	return err
}
