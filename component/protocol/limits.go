package protocol

import "time"

// FormerTime is how long a removed member's late notices are taken.
const FormerTime = 24 * time.Hour

// Limits are the sizes that PROTOCOL.md section 2 names; bytes unless said otherwise.
type Limits struct {
	Body          int  // of the body text
	Strict        bool // inner fields that are too long are refused instead of counted
	ClientNotices bool // clients may send MTB-000 and MTB-100
	GroupMembers  int  // to which groups may grow; 0: no limit
	GroupPosts    int  // announcements that a group may have, posted without a key; 0: no limit
	UserStyles    int  // settings that a user may have, set without a key; 0: no limit
	GroupsPerUser int  // that a user may own who makes them without a key; 0: no limit
}
