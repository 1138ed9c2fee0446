package httpapi

import (
	"context"

	"tlim/component/protocol"
	"tlim/store"
)

// postPage is how many announcements one read takes.
const postPage = 200

// maxContent bounds an announcement's text in characters; the component has the last word, in bytes.
const maxContent = 64 << 10

func (a *API) addPubact(ctx context.Context, r *request) (any, error) {
	post := store.Announcement{
		SessionID: r.id("session_id", protocol.GroupIDEmpty),
		UserID:    r.user("user_id"),
		Title:     r.text("title", maxName),
		Content:   r.text("content", maxContent),
	}
	if post.Title == "" && post.Content == "" {
		r.refuse(refusal(protocol.BodyEmpty, textMissing, "title"))
	}
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.Post(ctx, post, !r.payer.keyed)
}

func (a *API) findPubactList(ctx context.Context, r *request) (any, error) {
	id := r.id("session_id", protocol.GroupIDEmpty)
	if r.err != nil {
		return nil, r.err
	}
	if _, found, err := a.reads.Group(ctx, id); err != nil {
		return nil, err
	} else if !found {
		return nil, refusal(protocol.NoSuchGroup, textNoSuchGroup, id)
	}
	type row struct {
		Content   string `json:"content,omitempty"`
		ID        string `json:"id_,omitempty"`
		SessionID string `json:"session_id,omitempty"`
		Title     string `json:"title,omitempty"`
		Time      string `json:"ts,omitempty"`
		UserID    string `json:"user_id,omitempty"`
	}
	s := &stream{list: "pubactList", rest: func() object { return object{} }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		for after := ""; ; {
			ctx, cancel := s.page(ctx, readWeight)
			posts, err := a.reads.Announcements(ctx, id, after, postPage)
			cancel()
			if err != nil {
				return err
			}
			for _, p := range posts {
				if err := emit(row{p.Content, p.ID, p.SessionID, p.Title, p.Time, p.UserID}); err != nil {
					return err
				}
			}
			if len(posts) < postPage {
				return nil
			}
			after = posts[len(posts)-1].ID
		}
	}
	return s, nil
}

// modifyPubact changes what is sent: a parameter that is absent leaves its field.
func (a *API) modifyPubact(ctx context.Context, r *request) (any, error) {
	edit := store.AnnouncementEdit{ID: r.announcement("id_")}
	title, content := r.text("title", maxName), r.text("content", maxContent)
	if r.has("title") {
		edit.Title = &title
	}
	if r.has("content") {
		edit.Content = &content
	}
	if edit.Title == nil && edit.Content == nil {
		r.refuse(refusal(protocol.BodyEmpty, textMissing, "title"))
	}
	if r.err != nil {
		return nil, r.err
	}
	found, err := a.svc.EditPost(ctx, edit)
	if err == nil && !found {
		err = refusal(resultFail, textNoSuchPost, edit.ID)
	}
	return object{}, err
}

func (a *API) deletePubact(ctx context.Context, r *request) (any, error) {
	id := r.announcement("id_")
	if r.err != nil {
		return nil, r.err
	}
	return object{}, a.svc.DeletePost(ctx, id)
}

// announcement is the id of one.
func (r *request) announcement(name string) string {
	id := r.text(name, maxID)
	if id == "" {
		r.refuse(badRequest(textMissing, name))
	}
	return id
}
