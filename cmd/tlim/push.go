package main

import (
	"strings"

	"tlim/component"
	"tlim/component/push"
	"tlim/store"
)

// pushChannels are the ways to wake phones that the configuration switches on.
func pushChannels(cfg Config) (list []component.Channel) {
	if j := cfg.Push.JPush; j.Enabled {
		list = append(list, component.Channel{Name: "jpush", Pusher: push.NewJPush(push.JPushConfig{
			AppKey: j.AppKey.Reveal(), MasterSecret: j.MasterSecret.Reveal(), BaseURL: j.BaseURL.Reveal()})})
	}
	if w := cfg.Push.Webhook; w.URL.Reveal() != "" {
		list = append(list, component.Channel{Name: "webhook", Kinds: w.Kinds,
			Pusher: push.NewWebhook(push.WebhookConfig{URL: w.URL.Reveal(), Secret: w.Secret.Reveal()})})
	}
	return list
}

// pushedKind says what push.webhook.kinds may hold: a message type, or the beginning of several, up to the dash. Commands are
// never pushed.
func pushedKind(kind string) bool {
	family, all := strings.CutSuffix(kind, "-")
	return (store.ValidType(kind) || all && store.FamilyOf(kind) == family) && store.FamilyOf(kind) != store.FamilyCommand
}

func (c *Config) checkPush(p *Problems) {
	j, w := &c.Push.JPush, &c.Push.Webhook
	if j.Enabled && j.AppKey.Reveal() == "" {
		p.add("push.jpush.app_key: is missing while push.jpush.enabled is true")
	}
	if j.Enabled && j.MasterSecret.Reveal() == "" {
		p.add("push.jpush.master_secret: is missing while push.jpush.enabled is true")
	}
	if strings.Contains(j.AppKey.Reveal(), ":") {
		p.add("push.jpush.app_key: holds a colon; the secret belongs into push.jpush.master_secret")
	}
	if wrong := push.CheckURL(j.BaseURL.Reveal()); j.BaseURL.Reveal() != "" && wrong != "" {
		p.add("push.jpush.base_url: %s", wrong)
	}
	if wrong := push.CheckURL(w.URL.Reveal()); w.URL.Reveal() != "" && wrong != "" {
		p.add("push.webhook.url: %s", wrong)
	}
	switch secret := w.Secret.Reveal(); {
	case w.URL.Reveal() == "" && secret != "":
		p.add("push.webhook.secret: does nothing without push.webhook.url")
	case w.URL.Reveal() != "" && len(secret) < minKey:
		p.add("push.webhook.secret: must be %d or more characters: whoever guesses it can forge pushes", minKey)
	}
	for _, kind := range w.Kinds {
		if !pushedKind(kind) {
			p.add("push.webhook.kinds: %s is neither a message type like MTB-000 nor the beginning of several like MTB-", quoted(kind))
		}
	}
}
