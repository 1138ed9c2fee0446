package protocol

import "fmt"

// Language is that of sentences for people (http.language).
type Language string

// The languages.
const (
	Chinese Language = "zh"
	English Language = "en"
)

// sentences are the refusals in Chinese by their English form, with the same verbs in the same order. A test looks that none lacks.
var sentences = map[string]string{
	// the stanza and its envelope
	"the stanza is too large":                  "消息节（stanza）过大",
	"the stanza has two bodies":                "消息中有两个 body",
	"the body is empty":                        "消息体为空",
	"the body is not JSON: %v":                 "消息体不是有效的 JSON：%v",
	"the body is not a JSON object":            "消息体不是 JSON 对象",
	"the body is larger than %d bytes":         "消息体超过 %d 字节",
	"body is not an array":                     "body 不是数组",
	"body is a string that holds no array: %v": "body 是字符串，但内容不是数组：%v",
	"body is a string that holds no array":     "body 是字符串，但内容不是数组",
	"body holds something else than objects":   "body 中有不是对象的内容",
	"msg_type is not MTT-, MTS-, MTB- or MTC- with 1 to 16 letters or digits behind it": "msg_type 应为 MTT-、MTS-、MTB- 或 MTC-，后接 1 到 16 个字母或数字",
	"%s is longer than %d characters":                                                     "%s 超过 %d 个字符",
	"%s holds a control character, or one that XML forbids":                               "%s 含有控制字符或 XML 禁止的字符",
	"version, compress or encrypt holds a comma":                                          "version、compress 或 encrypt 中有逗号",
	"%.64s is given twice or in another letter case":                                      "%.64s 出现两次，或大小写不对",
	"%s is given twice or in another letter case":                                         "%s 出现两次，或大小写不对",
	"%s is a number that JavaScript reads otherwise than it is written: put it in quotes": "%s 是 JavaScript 会读成另一个值的数字，请加引号",
	"%s is not a string":                                                                  "%s 不是字符串",
	"text is longer than %d characters":                                                   "text 超过 %d 个字符",
	"an id in the body is longer than %d characters":                                      "消息体中的一个 id 超过 %d 个字符",
	"an id in the body holds a control character, or one that XML forbids":                "消息体中的一个 id 含有控制字符或 XML 禁止的字符",
	"the body names two sessions":                                                         "消息体中有两个不同的会话",
	"the message names two sessions":                                                      "消息中有两个不同的会话",
	"the body names %d messages, and at most %d are taken: send several":                  "消息体列出了 %d 条消息，一次最多 %d 条，请分多次发送",
	"%s of the tlim element is longer than %d bytes":                                      "tlim 元素的 %s 超过 %d 字节",
	"the message is larger than the server takes":                                         "消息超过服务器能接受的大小",
	"the database cannot hold this message":                                               "数据库无法保存这条消息",

	// who sends, and to whom
	"the sender's address is not in its prepared form (RFC 6122, Unicode 3.2)": "发送方地址不是规范化的形式（RFC 6122，Unicode 3.2）",
	"only users of %s may send here":                                           "只有 %s 的用户可以发到这里",
	"msg_from is empty":                                                        "msg_from 为空",
	"msg_from is not the sender":                                               "msg_from 不是发送方",
	"only the component sends notices as admin":                                "只有服务器可以用 admin 发送通知",
	"%s is made by the component only":                                         "%s 只能由服务器产生",
	"msg_to is empty or cannot be part of an address":                          "msg_to 为空，或不能作为地址",
	"session_id is empty":                                                      "session_id 为空",
	"there is no such session":                                                 "会话不存在",
	"only members may post":                                                    "只有成员可以发言",
	"the message was not sent to this reader":                                  "这条消息没有发给该读者",
	"only the owner may dissolve a session":                                    "只有群主可以解散会话",
	"a message of another conversation cannot be revoked here":                 "不能在这里撤回其他会话的消息",
	"only the author may revoke a message":                                     "只有作者可以撤回消息",
	"the message is too old to be revoked":                                     "消息已超过可撤回的时间",
	"msg_id is missing":                                                        "缺少 msg_id",
	"msg_id is in use by another message":                                      "msg_id 已被另一条消息使用",
	"the database takes msg_id for that of another message":                    "数据库把这个 msg_id 当作另一条消息的",
	"the database takes an id for another one, see the warnings of its collations at the start": "数据库把一个 id 当作另一个，见启动时关于排序规则的警告",

	// not now
	"the server is shutting down, send it again later":         "服务器正在停止，请稍后重发",
	"the server is too busy, send it again later":              "服务器太忙，请稍后重发",
	"too many messages of this user wait, send it again later": "该用户等待处理的消息太多，请稍后重发",
	"this conversation is too busy, send it again later":       "这个会话太忙，请稍后重发",
	"this group is too busy, send it again later":              "这个群太忙，请稍后重发",
	"cannot be taken now, send it again later":                 "暂时无法处理，请稍后重发",
	"more than one user may send in a second (large messages, large groups and many ids count for more than one), send it again later": "超过一个用户每秒可发送的量（大消息、大群、多个 id 按多条计），请稍后重发",

	// calls
	"request_user is empty or cannot be part of an address":                                         "request_user 为空，或不能作为地址",
	"session_name is empty and no subscribers are given":                                            "session_name 为空，也没有给出 subscribers",
	"session_name is longer than %d characters":                                                     "session_name 超过 %d 个字符",
	"session_name holds a character that XML forbids":                                               "session_name 含有 XML 禁止的字符",
	"session_pic is longer than %d characters":                                                      "session_pic 超过 %d 个字符",
	"the messages to some of the receivers could not be stored; findNotice tells to whom they were": "有些接收人的消息无法保存；findNotice 会说明哪些已经保存",
	"user_id %q is empty or cannot be part of an address":                                           "user_id %q 为空，或不能作为地址",
	"the user id is a robot's, whose key speaks for it":                                             "这是机器人的用户标识，只有它的密钥可以代它发言",
	"there is no such type":                                                                         "没有这种消息类型",
	"the robot's id cannot be part of an address":                                                   "机器人的标识不能作为地址",
	"the user id is empty or cannot be part of an address":                                          "用户标识为空，或不能作为地址",
	"the user id admin is reserved":                                                                 "用户标识 admin 为系统保留",
	"user_id or acct_login of %q is longer than %d characters":                                      "%q 的 user_id 或 acct_login 超过 %d 个字符",
	"a field of %q is longer than %d characters":                                                    "%q 有一个字段超过 %d 个字符",
	"a field of %q holds a character that XML forbids":                                              "%q 有一个字段含有 XML 禁止的字符",
	"the idempotency key was used for another request":                                              "该幂等键已用于另一个请求",
	"msgTo holds an empty or impossible user id":                                                    "msgTo 中有空的或无效的用户标识",
	"msgTo names more than %d users":                                                                "msgTo 超过 %d 个用户",
	"there is no session %q":                                                                        "会话 %q 不存在",
	"registrationId is longer than %d characters":                                                   "registrationId 超过 %d 个字符",
	"the user has left the directory":                                                               "用户已离开通讯录",
	"the token is not valid":                                                                        "令牌无效",
	"the token has ended, ask for a new one":                                                        "令牌已过期，请重新获取",
	"the token was revoked, ask for a new one":                                                      "令牌已撤销，请重新获取",
	"params hold a character that XML forbids":                                                      "params 含有 XML 禁止的字符",
	"params are larger than %d bytes":                                                               "params 超过 %d 字节",
	"title and content are both empty":                                                              "标题和内容均为空",
	"title is longer than %d characters":                                                            "标题超过 %d 个字符",
	"content is larger than %d bytes":                                                               "内容超过 %d 字节",
	"the announcement holds a character that XML forbids":                                           "公告含有 XML 禁止的字符",
	"style_name is longer than %d characters, or holds one that XML forbids":                        "style_name 超过 %d 个字符，或含有 XML 禁止的字符",
}

// inChinese is a refusal's sentence; "" when there is none.
func inChinese(format string, args []any) string {
	format, ok := sentences[format]
	if !ok || len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}
