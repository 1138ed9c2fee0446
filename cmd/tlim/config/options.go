package config

import "tlim/httpapi"

// The types of options that have names for values, where the part that they are for has none of its own. The values are those of the file.

// Sender says from whose address copies come.
type Sender string

const (
	SenderComponent Sender = "component" // user@ the component's domain
	SenderUser      Sender = "user"      // user@ the server's domain
)

// FileAccess says who may download a file.
type FileAccess string

const (
	FileAccessLink   FileAccess = "link"   // who knows its address
	FileAccessStrict FileAccess = "strict" // its uploader, receivers of a message that names it, and admin keys
)

// UserSource says where users come from.
type UserSource string

const (
	UsersAuto     UserSource = "auto"     // Openfire's accounts, where they are in the store's database
	UsersAPI      UserSource = "api"      // the API and the wire alone
	UsersISC      UserSource = "isc"      // the suite's tables
	UsersOpenfire UserSource = "openfire" // Openfire's accounts
)

// BodyForm is the form of the bodies of messages that the server makes.
type BodyForm string

const (
	BodyString BodyForm = "string"
	BodyArray  BodyForm = "array"
)

// PushContent says what a push shows of its message.
type PushContent string

const (
	PushShown  PushContent = "shown"
	PushHidden PushContent = "hidden" // nothing of it, nor of sender and group
)

// EventContent says what an event holds of its message.
type EventContent string

const (
	EventsWithoutContent EventContent = "none"
	EventsWithContent    EventContent = "full"
)

// LogLevel is the lowest level that is logged.
type LogLevel string

const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is the form of a line of the log.
type LogFormat string

const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Open says whether some callers need no key.
func (h HTTP) Open() bool { return h.AllowAnonymous != httpapi.AnonymousNone }
