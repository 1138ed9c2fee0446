package httpapi

// scope is a set of rights that a caller has, or that a route asks one of.
type scope uint8

// The scopes. A user token (HTTP.md, "Who may call") becomes one more, with the check of its own ids in the handlers'
// decoders.
const (
	scopeBusiness scope = 1 << iota // pushes notices, keeps the directory
	scopeAdmin                      // everything
	scopeClient                     // a caller without a key, where allow_anonymous says clients
	scopeAnybody                    // every caller, known or not: an endpoint that does nothing
)

// scopeNames are the scopes that a key can carry in the configuration.
var scopeNames = map[string]scope{"business": scopeBusiness, "admin": scopeAdmin}

// The columns of the route table: who may call.
const (
	byBusiness = scopeBusiness | scopeAdmin
	byClients  = scopeClient | scopeAdmin
	byAnybody  = scopeBusiness | scopeAdmin | scopeClient | scopeAnybody
)

// anonymousScopes are the rights of a caller without a key.
var anonymousScopes = map[Anonymous]scope{
	AnonymousNone:    scopeAnybody,
	AnonymousClients: scopeAnybody | scopeClient,
	AnonymousAll:     scopeAnybody | scopeClient | scopeBusiness | scopeAdmin,
}
