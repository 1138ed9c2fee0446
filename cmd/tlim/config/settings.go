package config

import (
	"time"

	"tlim/component"
	"tlim/httpapi"
	"tlim/store"
	"tlim/store/blob"
)

// Config is the whole configuration, section by section as CONFIG.md has them. A yaml tag is the key's name in the file;
// [Default] holds the defaults, [Load] reads, and Config.problems checks. Secrets hide themselves when printed.
type Config struct {
	XMPP            XMPP        `yaml:"xmpp"`
	Presence        Presence    `yaml:"presence"`
	Store           Store       `yaml:"store"`
	HTTP            HTTP        `yaml:"http"`
	Web             Web         `yaml:"web"`
	Files           Files       `yaml:"files"`
	Directory       Directory   `yaml:"directory"`
	Push            Push        `yaml:"push"`
	Events          Events      `yaml:"events"`
	Receipts        Receipts    `yaml:"receipts"`
	Envelope        Envelope    `yaml:"envelope"`
	Offline         Offline     `yaml:"offline"`
	Revoke          Revoke      `yaml:"revoke"`
	Sessions        Sessions    `yaml:"sessions"`
	Idempotency     Idempotency `yaml:"idempotency"`
	Cleanup         Cleanup     `yaml:"cleanup"`
	Standby         Standby     `yaml:"standby"`
	Limits          Limits      `yaml:"limits"`
	Metrics         Metrics     `yaml:"metrics"`
	Log             Log         `yaml:"log"`
	ShutdownTimeout Duration    `yaml:"shutdown_timeout"`
}

// XMPP is the link to the server.
type XMPP struct {
	Server             Servers                `yaml:"server"`
	Domain             string                 `yaml:"domain"`
	Component          string                 `yaml:"component"` // "" in a file; filled in by Load
	Secret             Secret                 `yaml:"secret"`
	TLS                Switch                 `yaml:"tls"`
	CAFile             Path                   `yaml:"ca_file"`
	ServerName         string                 `yaml:"server_name"`
	InsecureSkipVerify bool                   `yaml:"insecure_skip_verify"`
	Connections        int                    `yaml:"connections"`
	Multicast          Switch                 `yaml:"multicast"`
	Delivery           component.DeliveryMode `yaml:"delivery"`
	Sender             Sender                 `yaml:"sender"`
	Copies             Switch                 `yaml:"copies"`
	CopiesMax          int                    `yaml:"copies_max"`
	Ping               Duration               `yaml:"ping"`
}

// Presence is how fresh the picture of who is online is kept.
type Presence struct {
	Interval Duration `yaml:"interval"`
}

// Store is the database.
type Store struct {
	Driver      string            `yaml:"driver"`
	DSN         DSN               `yaml:"dsn"`
	MaxOpen     int               `yaml:"max_open"`
	MaxIdle     int               `yaml:"max_idle"`
	MaxLifetime Duration          `yaml:"max_lifetime"`
	MaxWait     Duration          `yaml:"max_wait"`
	Migrate     store.MigrateMode `yaml:"migrate"`
}

// HTTP is the API that integrators and clients call.
type HTTP struct {
	Listen         string            `yaml:"listen"`
	TLS            HTTPTLS           `yaml:"tls"`
	BaseURL        URL               `yaml:"base_url"`
	AllowAnonymous httpapi.Anonymous `yaml:"allow_anonymous"`
	AllowFrom      []CIDR            `yaml:"allow_from"`
	TrustedProxies []CIDR            `yaml:"trusted_proxies"`
	Hosts          []string          `yaml:"hosts"`
	Keys           []Key             `yaml:"keys"`
	KeyFile        Path              `yaml:"key_file"`
	TokenLife      Duration          `yaml:"token_life"`
	CORSOrigins    []string          `yaml:"cors_origins"`
	FindUsers      httpapi.Finding   `yaml:"find_users"`
	Language       httpapi.Language  `yaml:"language"`
	AccessLog      Switch            `yaml:"access_log"`
}

// Web are the pages, and their way to the server.
type Web struct {
	Chat            Switch `yaml:"chat"`
	Admin           Switch `yaml:"admin"`
	XMPPURL         URL    `yaml:"xmpp_url"` // "" in a file; filled in by Load
	XMPPConnections int    `yaml:"xmpp_connections"`
}

// HTTPTLS is the certificate of the API; empty for plain HTTP behind a proxy.
type HTTPTLS struct {
	CertFile Path `yaml:"cert_file"`
	KeyFile  Path `yaml:"key_file"`
}

// Key is one caller of the HTTP API.
type Key struct {
	Name   string   `yaml:"name"`
	Key    Secret   `yaml:"key"`
	Scopes []string `yaml:"scopes"`
	Rate   float64  `yaml:"rate"` // calls a second; 0 = no limit
	Robot  Robot    `yaml:"robot"`
}

// Robot is as whom a key sends chat messages; without an ID as nobody.
type Robot struct {
	ID   string `yaml:"id"`
	Name string `yaml:"name"` // "" = the ID
}

// Files is the file transfer.
type Files struct {
	Prefixes    []string   `yaml:"prefixes"`
	Access      FileAccess `yaml:"access"`
	FallbackURL URL        `yaml:"fallback_url"`
	Dir         Path       `yaml:"dir"`
	S3          S3         `yaml:"s3"`
	MaxSize     Size       `yaml:"max_size"`
	Quota       Size       `yaml:"quota"`    // of all files of one owner; 0 = none
	MinFree     Size       `yaml:"min_free"` // what uploads leave of the disk; 0 = not looked at
}

// S3 is an object store that holds the files instead of a folder.
type S3 struct {
	Endpoint  URL    `yaml:"endpoint"`
	Bucket    string `yaml:"bucket"`
	AccessKey Secret `yaml:"access_key"`
	SecretKey Secret `yaml:"secret_key"`
	Region    string `yaml:"region"`
}

// Open makes the client of the object store; it does not connect. An error begins with the last part of the key that is wrong.
func (s S3) Open() (*blob.Bucket, error) {
	return blob.OpenBucket(blob.BucketConfig{Endpoint: s.Endpoint.Reveal(), Bucket: s.Bucket,
		AccessKey: s.AccessKey.Reveal(), SecretKey: s.SecretKey.Reveal(), Region: s.Region})
}

// Directory is where users come from.
type Directory struct {
	Source          UserSource `yaml:"source"`
	Interval        Duration   `yaml:"interval"`
	DryRun          bool       `yaml:"dry_run"`
	MaxRemove       Percent    `yaml:"max_remove"`
	CreateAccounts  bool       `yaml:"create_accounts"`
	RemoveAccounts  bool       `yaml:"remove_accounts"`
	InitialPassword Secret     `yaml:"initial_password"`
	DSN             DSN        `yaml:"dsn"`
}

// Push is what wakes absent phones.
type Push struct {
	Content PushContent `yaml:"content"`
	JPush   JPush       `yaml:"jpush"`
	Webhook Webhook     `yaml:"webhook"`
}

// JPush is the push service of the shipped apps.
type JPush struct {
	Enabled      bool   `yaml:"enabled"`
	AppKey       Secret `yaml:"app_key"`
	MasterSecret Secret `yaml:"master_secret"`
	BaseURL      URL    `yaml:"base_url"`
}

// Events are what a business system is told.
type Events struct {
	Webhook    Webhook      `yaml:"webhook"`
	Content    EventContent `yaml:"content"`
	MaxWaiting int          `yaml:"max_waiting"`
	Keep       Duration     `yaml:"keep"`
}

// Webhook is a push by HTTP to somebody else's sender.
type Webhook struct {
	URL    URL      `yaml:"url"`
	Secret Secret   `yaml:"secret"`
	Kinds  []string `yaml:"kinds"`
}

// Receipts is who gets acknowledgements and read receipts.
type Receipts struct {
	Server      component.AcknowledgementMode `yaml:"server"`
	GroupFanout component.GroupReceiptMode    `yaml:"group_fanout"`
}

// Envelope is the form of server-made messages.
type Envelope struct {
	Body BodyForm `yaml:"body"`
}

// Offline is when a message waits for a phone.
type Offline struct {
	Confirm component.ConfirmMode `yaml:"confirm"`
	Grace   Duration              `yaml:"grace"`
}

// Revoke is the time limit of revokes; 0 = none.
type Revoke struct {
	Window Duration `yaml:"window"`
}

// Sessions is what happens to a removed member's history.
type Sessions struct {
	PurgeOnRemove bool `yaml:"purge_on_remove"`
}

// Idempotency is how repeated HTTP calls are recognised.
type Idempotency struct {
	Window       Duration `yaml:"window"`
	ByBusinessID bool     `yaml:"by_business_id"`
}

// Cleanup is the removal of old rows and files. Days; 0 = never.
type Cleanup struct {
	Enabled     bool     `yaml:"enabled"`
	Interval    Duration `yaml:"interval"`
	Days        int      `yaml:"days"`
	OfflineDays int      `yaml:"offline_days"`
	FilesDays   int      `yaml:"files_days"`
	IDs         int      `yaml:"ids"`
}

// Standby is whether a second process may take over.
type Standby struct {
	Enabled bool `yaml:"enabled"`
}

// Limits bound what one message, one user and all of them together may take.
type Limits struct {
	Strict          bool    `yaml:"strict"`
	ClientNotices   bool    `yaml:"client_notices"`
	Body            Size    `yaml:"body"`
	Stanza          Size    `yaml:"stanza"`
	PerUserRate     float64 `yaml:"per_user_rate"` // messages a second; 0 = no limit
	PerUserBurst    int     `yaml:"per_user_burst"`
	PerUserInflight int     `yaml:"per_user_inflight"`
	PerUserHTTP     float64 `yaml:"per_user_http"` // calls a second of a user token's holder; 0 = no limit
	Inflight        int     `yaml:"inflight"`
	InflightBytes   Size    `yaml:"inflight_bytes"`
	PendingPerUser  int     `yaml:"pending_per_user"`
	GroupMembers    int     `yaml:"group_members"`           // to which groups may grow; 0 = no limit
	GroupPosts      int     `yaml:"announcements_per_group"` // posted without a key; 0 = no limit
	UserStyles      int     `yaml:"styles_per_user"`         // set without a key; 0 = no limit
	GroupsPerUser   int     `yaml:"groups_per_user"`         // that a user may own who makes them without a key; 0 = no limit
}

// Metrics is the listener for operators.
type Metrics struct {
	Listen string `yaml:"listen"`
}

// Log is what the process says on standard error.
type Log struct {
	Level  LogLevel  `yaml:"level"`
	Format LogFormat `yaml:"format"`
}

// Default is the configuration of an empty file. Only the domain and the secret are missing in it.
func Default() Config {
	const minute, hour = Duration(time.Minute), Duration(time.Hour)
	return Config{
		XMPP: XMPP{Server: Servers{"127.0.0.1:5275"}, Connections: 1, Delivery: component.DeliverAuto, Sender: SenderComponent,
			CopiesMax: 200, Ping: Duration(8 * time.Second)},
		Presence: Presence{Interval: Duration(200 * time.Millisecond)},
		Store: Store{Driver: "sqlite", DSN: DSN{"tlim.db"}, MaxOpen: 32, MaxIdle: 8, MaxLifetime: 10 * minute,
			MaxWait: Duration(10 * time.Second), Migrate: store.MigrateAuto},
		HTTP: HTTP{Listen: "127.0.0.1:9595", AllowAnonymous: httpapi.AnonymousNone, AllowFrom: []CIDR{}, TrustedProxies: []CIDR{}, Hosts: []string{}, Keys: []Key{},
			KeyFile: "tlim.key", TokenLife: hour, CORSOrigins: []string{"*"}, FindUsers: httpapi.FindAll, Language: httpapi.Chinese},
		Web:         Web{Chat: true, Admin: true, XMPPConnections: 1000},
		Files:       Files{Prefixes: []string{}, Access: FileAccessLink, Dir: "files", MaxSize: 100 << 20, Quota: 10 << 30, MinFree: 1 << 30},
		Directory:   Directory{Source: UsersAuto, Interval: minute, MaxRemove: 5},
		Push:        Push{Content: PushShown, Webhook: Webhook{Kinds: []string{}}},
		Events:      Events{Webhook: Webhook{Kinds: []string{}}, Content: EventsWithoutContent, MaxWaiting: 100_000, Keep: 7 * 24 * hour},
		Receipts:    Receipts{Server: component.AcknowledgementsRequested, GroupFanout: component.GroupReceiptsToAuthor},
		Envelope:    Envelope{Body: BodyString},
		Offline:     Offline{Confirm: component.ConfirmAuto, Grace: Duration(5 * time.Second)},
		Idempotency: Idempotency{Window: 24 * hour},
		Cleanup:     Cleanup{Interval: 24 * hour, Days: 30, IDs: 30},
		Limits: Limits{Body: 64 << 10, Stanza: 256 << 10, PerUserRate: 50, PerUserBurst: 200, PerUserInflight: 64, PerUserHTTP: 20,
			Inflight: 10000, InflightBytes: 64 << 20, PendingPerUser: 10000, GroupMembers: 2000, GroupsPerUser: 500, GroupPosts: 500, UserStyles: 200},
		Metrics:         Metrics{Listen: "127.0.0.1:9596"},
		Log:             Log{Level: LogInfo, Format: LogText},
		ShutdownTimeout: Duration(20 * time.Second),
	}
}
