package main

import (
	"time"

	"tlim/cmd/tlim/config"
	"tlim/component/events"
	"tlim/component/outbox"
	"tlim/component/push"
)

// pushChannels are the ways to wake phones that the configuration switches on.
func pushChannels(cfg config.Config) (list []outbox.Channel) {
	if j := cfg.Push.JPush; j.Enabled {
		list = append(list, outbox.Channel{Name: "jpush", Pusher: push.NewJPush(push.JPushConfig{
			AppKey: j.AppKey.Reveal(), MasterSecret: j.MasterSecret.Reveal(), BaseURL: j.BaseURL.Reveal()})})
	}
	if w := cfg.Push.Webhook; w.URL.Reveal() != "" {
		list = append(list, outbox.Channel{Name: "webhook", Kinds: w.Kinds,
			Pusher: push.NewWebhook(push.WebhookConfig{URL: w.URL.Reveal(), Secret: w.Secret.Reveal()})})
	}
	return list
}

// eventsConfig says which business system is told of what; without an address none is.
func eventsConfig(cfg config.Config) events.Config {
	e := cfg.Events
	told := events.Config{Kinds: e.Webhook.Kinds, Content: e.Content == config.EventsWithContent, MaxWaiting: e.MaxWaiting, Keep: time.Duration(e.Keep)}
	if url := e.Webhook.URL.Reveal(); url != "" {
		told.Poster = push.NewEventHook(push.WebhookConfig{URL: url, Secret: e.Webhook.Secret.Reveal()})
	}
	return told
}
