package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const removePlugin = "remove it; Openfire's console: Plugins. Its row `tlim` in ofVersion stays: without it the plugin drops its eight tables should it ever come back"

// checkPlugin looks for the old plugin where it answered HTTP, and for what it writes: it and tlim together store and deliver twice.
func (s *Site) checkPlugin(ctx context.Context) []Finding {
	var tried []string
	for _, address := range s.Consoles {
		if s.Serving() && portOf(address) == portOf(s.Config.HTTP.Listen) {
			continue // our own
		}
		tried = append(tried, address)
		if answersAsPlugin(ctx, "http://"+address) {
			return failure(removePlugin, "the old plugin answers on %s/plugins/tlim: both together store and deliver twice", address)
		}
	}
	return ok("nothing of it answers on %s", strings.Join(tried, " and "))
}

// pluginTime bounds one question: a console that is not there refuses at once, or its host swallows.
const pluginTime = 3 * time.Second

// answersAsPlugin tells the old plugin from a tlim, which has a description of its calls, and from a console without it.
func answersAsPlugin(ctx context.Context, base string) bool {
	ctx, cancel := context.WithTimeout(ctx, pluginTime)
	defer cancel()
	body, err := get(ctx, base+"/plugins/tlim/findSessions?user_id=tlim-doctor", 1<<20)
	var answer map[string]json.RawMessage
	if err != nil || json.Unmarshal(body, &answer) != nil || answer["result"] == nil {
		return false
	}
	description, err := get(ctx, base+"/plugins/tlim/openapi.json", 16<<20)
	return err != nil || !strings.Contains(string(description), `"openapi"`)
}

// checkStrange looks for messages that somebody else stores.
func (s *Site) checkStrange(ctx context.Context) []Finding {
	const period = time.Hour
	began := time.Now()
	ids, told, err := kept(s, &s.db).Strange(ctx, fmt.Sprintf("%013d", time.Now().Add(-period).UnixMilli()))
	switch {
	case err != nil:
		return s.unanswered(err, began)
	case !told:
		return skipped("ofmessage has no index on msg_time, or no start of tlim has made its tables yet")
	case len(ids) > 0:
		return failure(removePlugin, "another program writes messages: of the last hour %d at least are not tlim's, such as %.64q", len(ids), ids[0])
	}
	return ok("of the last hour no message is another program's")
}
