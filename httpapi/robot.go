package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"tlim/component"
	"tlim/component/lenient"
	"tlim/component/protocol"
)

// plainMessage is the type of a message that names none.
const plainMessage = "text"

// maxSpeech bounds the content of a message, in characters: the component has the last word on each type.
const maxSpeech = 3000

// sendMessage sends a chat message as the robot of the caller's key.
func (a *API) sendMessage(ctx context.Context, r *request) (any, error) {
	robot := r.caller.robot
	if robot.ID == "" {
		return nil, forbidden(http.StatusForbidden, textNoRobot)
	}
	to, group := r.text("to", maxID), r.text("session_id", maxID)
	name := orElse(r.first("type"), plainMessage)
	content, msgID, key := r.text("content", maxSpeech), r.text("msg_id", maxID), r.idempotencyKey()
	kind, ok := component.SpokenTypes[name]
	switch {
	case (to == "") == (group == ""):
		r.refuse(badRequest(textOneReceiver))
	case !ok:
		r.refuse(badRequest(textBadMessageType))
	case content == "":
		r.refuse(refusal(protocol.BodyEmpty, textMissing, "content"))
	case strings.ContainsFunc(group, unicode.IsControl):
		r.refuse(badRequest(textBadCharacters, "session_id"))
	case strings.ContainsFunc(msgID, unicode.IsControl):
		r.refuse(badRequest(textBadCharacters, "msg_id"))
	case kind.Field != "text":
		r.fits("content", content, maxID)
	}
	sp := component.Speech{Robot: robot, Caller: r.caller.name, Type: kind.Chat, MsgID: msgID, Key: key}
	body := lenient.AppendString([]byte(`[{"`+kind.Field+`":`), content)
	if group != "" {
		sp.Type, sp.To = kind.Group, group
		body = lenient.AppendString(append(body, `,"session_id":`...), group)
	} else if r.err == nil {
		sp.To = r.user("to")
	}
	if sp.Body = string(body) + "}]"; r.err != nil {
		return nil, r.err
	}
	spoken, err := a.svc.Speak(ctx, sp)
	var refused *protocol.Error
	switch {
	case err == nil:
		return object{"msg_id": spoken.MsgID, "msg_time": spoken.Time}, nil
	case !errors.As(err, &refused):
		return nil, err
	case refused.Code == protocol.IDConflict:
		return nil, refusal(protocol.IDConflict, textMessageIDUsed)
	case refused.Code == protocol.NoSuchGroup:
		return nil, refusal(protocol.NoSuchGroup, textNoSuchGroup, group)
	case refused.Code == protocol.NotAllowed && group != "" && name != "revoke":
		return nil, refusal(protocol.NotAllowed, textRobotNoMember, robot.ID)
	case refused.Code == protocol.TryLater: // its own rate, or too much of its conversation waits
		return nil, &failure{status: http.StatusTooManyRequests, result: protocol.TryLater, text: textRobotTooFast, retry: time.Second}
	}
	return nil, err
}

// robot is the one that a new key is to speak as; none without robot_id.
func (r *request) robot() (protocol.Robot, error) {
	robot := protocol.Robot{ID: r.text("robot_id", maxID), Name: r.text("robot_name", protocol.MaxRobotName)}
	if r.err == nil && robot.ID == "" && robot.Name != "" {
		r.refuse(badRequest(textMissing, "robot_id"))
	}
	if r.err != nil || robot == (protocol.Robot{}) {
		return robot, r.err
	}
	if err := robot.Check(); err != nil {
		return robot, refusal(protocol.UserIDInvalid, textBadUser, "robot_id", shortened(robot.ID))
	}
	return robot, nil
}
