package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"tlim/component/protocol"
	"tlim/store"
)

// scope is a set of rights that a caller has, or that a route asks one of.
type scope uint8

// The scopes.
const (
	scopeBusiness scope = 1 << iota // pushes notices, keeps the directory
	scopeAdmin                      // everything
	scopeClient                     // a caller without a key, where allow_anonymous says clients
	scopeUser                       // the holder of a user token; the route's rule says with which parameters
	scopeAnybody                    // every caller, known or not: an endpoint that does nothing
)

// scopeNames are the scopes that a key can carry in the configuration.
var scopeNames = map[string]scope{"business": scopeBusiness, "admin": scopeAdmin}

// anonymousScopes are the rights of a caller without a key.
var anonymousScopes = map[Anonymous]scope{
	AnonymousNone:    scopeAnybody,
	AnonymousClients: scopeAnybody | scopeClient,
	AnonymousAll:     scopeAnybody | scopeClient | scopeBusiness | scopeAdmin,
}

// rights is a cell of the route table: who may call.
type rights struct {
	scopes scope  // any one of these
	user   []rule // what the holder of a user token has to satisfy, all of them
	keyed  bool   // whatever http.allow_anonymous says, a caller without a key is none of these
}

// rule decides about a call with a user token.
type rule struct {
	says phrase // for the document
	// may is nil, or why not. A parameter that is missing or unreadable gets the error that the handler would give.
	may func(ctx context.Context, a *API, rt *route, r *request) error
}

// The cells that need no parameter.
var (
	byBusiness = rights{scopes: scopeBusiness | scopeAdmin}
	byAdmin    = rights{scopes: scopeAdmin}
	byAdminKey = rights{scopes: scopeAdmin, keyed: true}
	// byRobot wants a key that speaks as a robot, as its handler says.
	byRobot   = rights{scopes: scopeBusiness | scopeAdmin, keyed: true}
	byAnybody = rights{scopes: scopeBusiness | scopeAdmin | scopeClient | scopeUser | scopeAnybody}
	// byClients is for handlers that look at the user themselves.
	byClients = rights{scopes: scopeClient | scopeUser | scopeAdmin}
)

// users makes a cell of rules that a user token has to satisfy, all of them.
func users(rules ...rule) rights { return rights{scopes: byClients.scopes, user: rules} }

// own: the parameter names the caller.
func own(name string) rule { return ownAs(name, protocol.UserIDInvalid) }

// ownAs is own with another error for an id that is missing or cannot be.
func ownAs(name string, code protocol.Code) rule {
	return rule{say("%s is the token's user", verbatim(name)), func(_ context.Context, _ *API, _ *route, r *request) error {
		if user := r.userAs(name, code); r.err == nil && user != r.caller.user {
			return forbidden(http.StatusForbidden, textNotYours)
		}
		return r.err
	}}
}

// member: the parameter names a group of which the caller is a member or the owner.
func member(name string) rule {
	return ofGroup(name, say("the token's user is a member or the owner of %s", verbatim(name)), func(ctx context.Context, a *API, r *request, g store.Group) (bool, error) {
		return a.belongs(ctx, g, r.caller.user)
	})
}

// owner: the parameter names a group that the caller owns.
func owner(name string) rule {
	return ofGroup(name, say("the token's user owns %s", verbatim(name)), func(_ context.Context, _ *API, r *request, g store.Group) (bool, error) {
		return protocol.SameUser(g.Owner, r.caller.user), nil
	})
}

// ofGroup asks may about the group that a parameter names. Of a group that is gone nothing can be read; calls that would
// change it are for the handlers, which know what to say to one that is repeated.
func ofGroup(name string, says phrase, may func(context.Context, *API, *request, store.Group) (bool, error)) rule {
	return rule{says, func(ctx context.Context, a *API, rt *route, r *request) error {
		id := r.id(name, protocol.GroupIDEmpty)
		if r.err != nil {
			return r.err
		}
		g, found, err := a.reads.Group(ctx, id)
		switch {
		case err != nil:
			return err
		case !found && rt.effect == writes:
			return nil
		case !found:
			return refusal(protocol.NoSuchGroup, textNoSuchGroup, id)
		}
		ok, err := may(ctx, a, r, g)
		if err == nil && !ok {
			err = forbidden(http.StatusForbidden, textNotYours)
		}
		return err
	}}
}

// belongs says whether a user is a member of a group or its owner.
func (a *API) belongs(ctx context.Context, g store.Group, user string) (bool, error) {
	if protocol.SameUser(g.Owner, user) {
		return true, nil
	}
	members, err := a.reads.Members(ctx, []string{g.ID})
	if err != nil {
		return false, err
	}
	for _, m := range members[g.ID] {
		if protocol.SameUser(m.UserID, user) {
			return true, nil
		}
	}
	return false, nil
}

// editor: a member may rename the group, invite, and leave it; only the owner removes others.
func editor(name string) rule {
	return ofGroup(name, say("the token's user is a member or the owner of %s: members rename, add and remove themselves, only the owner removes others", verbatim(name)), func(ctx context.Context, a *API, r *request, g store.Group) (bool, error) {
		if protocol.SameUser(g.Owner, r.caller.user) {
			return true, nil
		}
		_, objects := r.array("subscribers")
		for _, o := range objects {
			if r.field("subscribers", o, "type", maxName) == "del" && r.member("subscribers", o) != r.caller.user {
				return false, r.err
			}
		}
		if r.err != nil {
			return false, r.err
		}
		return a.belongs(ctx, g, r.caller.user)
	})
}

// poster: the parameter names an announcement of a group that the caller owns, or that they posted and are still a member of.
func poster(name string) rule {
	return rule{say("the token's user owns the group of %s, or posted it and is a member still", verbatim(name)), func(ctx context.Context, a *API, _ *route, r *request) error {
		id := r.announcement(name)
		if r.err != nil {
			return r.err
		}
		post, found, err := a.reads.Announcement(ctx, id)
		if err != nil || !found {
			return err
		}
		g, found, err := a.reads.Group(ctx, post.SessionID)
		if err != nil {
			return err
		}
		may := protocol.SameUser(post.UserID, r.caller.user)
		if found {
			owns := protocol.SameUser(g.Owner, r.caller.user)
			if may && !owns {
				may, err = a.belongs(ctx, g, r.caller.user)
			}
			may = may || owns
		}
		if err == nil && !may {
			err = forbidden(http.StatusForbidden, textNotYours)
		}
		return err
	}}
}

// present: who reads a group's messages, and who does not, are its members of today, which nobody learns who has left it.
func present(name string) rule {
	return rule{say("of a group's message, is a member or the owner of the group still"), func(ctx context.Context, a *API, _ *route, r *request) error {
		id := r.id(name, protocol.IDConflict)
		if r.err != nil {
			return r.err
		}
		found, err := a.reads.MessagesByID(ctx, []string{id})
		if err != nil {
			return err
		}
		for _, m := range found[id] {
			if store.FamilyOf(m.Type) != store.FamilyGroup {
				continue
			}
			g, there, err := a.reads.Group(ctx, m.SessionID)
			if err != nil || !there { // a group that is gone has no members
				return err
			}
			if may, err := a.belongs(ctx, g, r.caller.user); err != nil {
				return err
			} else if !may {
				return forbidden(http.StatusForbidden, textNotYours)
			}
		}
		return nil
	}}
}

// plainType: other types than 0 are what the business suite makes, and rows that the lists of clients make up.
func plainType(name string) rule {
	return rule{say("%s is 0", verbatim(name)), func(_ context.Context, _ *API, _ *route, r *request) error {
		// What is no number the handler refuses.
		if kind, err := strconv.ParseInt(strings.TrimSpace(r.first(name)), 10, 32); err == nil && kind > 0 {
			return forbidden(http.StatusForbidden, textPlainType)
		}
		return nil
	}}
}
