package httpapi

import (
	"fmt"

	"tlim/component/protocol"
)

// Language of result_detail.
type Language = protocol.Language

// The languages of result_detail.
const (
	Chinese = protocol.Chinese
	English = protocol.English
)

// text is one sentence for people, in every language we speak, with the same verbs in the same order.
type text struct{ zh, en string }

func (t text) in(l Language, args []any) string {
	format := t.zh
	if l == English {
		format = t.en
	}
	if len(args) == 0 {
		return format
	}
	return fmt.Sprintf(format, args...)
}

// The sentences.
var (
	textMissing           = text{"缺少参数 %s", "parameter %s is missing"}
	textTooLong           = text{"参数 %s 超过 %d 个字符", "parameter %s is longer than %d characters"}
	textTooMany           = text{"参数 %s 超过 %d 项，请分多次调用", "parameter %s holds more than %d entries: send them in several calls"}
	textNotNumber         = text{"参数 %s 不是有效的数字", "parameter %s is not a valid number"}
	textNotJSON           = text{"参数 %s 不是有效的 JSON（第 %d 个字符起）", "parameter %s is not JSON (from character %d on)"}
	textTooDeep           = text{"参数 %s 的 JSON 嵌套过深", "parameter %s is nested too deeply"}
	textTwice             = text{"参数 %s 中的 %q 在同一对象中出现两次", "parameter %s has an object with %q twice"}
	textOddNumber         = text{"参数 %s 中的数字 %s 会被不同的程序读成不同的值，请加引号", "parameter %s holds the number %s, which programs read differently: put it in quotes"}
	textNotArray          = text{"参数 %s 不是 JSON 对象数组", "parameter %s is not a JSON array of objects"}
	textEmptyArray        = text{"参数 %s 不含任何对象", "parameter %s holds no object"}
	textBadUser           = text{"参数 %s 中的用户标识 %q 无效", "parameter %s holds the user id %q, which is not valid"}
	textBadEntry          = text{"参数 %s 中的 %q 不是标识", "parameter %s holds %q, which is no id"}
	textStandby           = text{"此服务器为备用机，请求未执行；请改用另一台 tlim 的地址，或几秒后重试", "this server stands by, and did nothing: call the other tlim, or try again in a few seconds"}
	textNobody            = text{"参数 msgTo 中没有任何用户拥有账号（见 skipped）", "parameter msgTo names nobody who has an account: see skipped"}
	textReserved          = text{"用户标识 %q 为系统保留", "the user id %q is reserved"}
	textNothingToChange   = text{"session_name 和 subscribers 均为空，没有要修改的内容", "neither session_name nor subscribers says what to change"}
	textBadBefore         = text{"参数 before 应为 <msg_time>,<msg_id>", "parameter before is not <msg_time>,<msg_id>"}
	textBeforeAndStart    = text{"参数 before 和 start 不能同时使用", "parameters before and start do not go together"}
	textBadNoticeType     = text{"参数 type 只能为 MTB 或 MTB-100", "parameter type is neither MTB nor MTB-100"}
	textNoSuchGroup       = text{"会话 %q 不存在", "there is no session %q"}
	textBadName           = text{"参数名含有无效的 UTF-8 或 XML 禁止的字符", "a parameter's name holds invalid UTF-8 or characters that XML forbids"}
	textBadCharacters     = text{"参数 %s 含有无效的 UTF-8 或 XML 禁止的字符", "parameter %s holds invalid UTF-8 or characters that XML forbids"}
	textTooManyParameters = text{"参数超过 %d 个", "there are more than %d parameters"}
	textTooLargeRequest   = text{"请求超过 %d 字节", "the request is larger than %d bytes"}
	textSlowBody          = text{"请求正文未能完整读取", "the body of the request did not arrive whole and in time"}
	textNotJSONBody       = text{"请求正文不是有效的 UTF-8 JSON", "the body is not JSON in UTF-8"}
	textNoObject          = text{"JSON 请求正文不是对象", "the JSON body is no object"}
	textFieldTwice        = text{"JSON 请求正文中的 %q 出现两次", "the JSON body has %q twice"}
	textUnknownField      = text{"此接口没有参数 %q", "this endpoint has no parameter %q"}
	textBadType           = text{"JSON 请求正文中参数 %s 的类型不对", "parameter %s of the JSON body is of a type that it cannot have"}
	textGivenTwice        = text{"参数 %s 出现多次且值不同", "parameter %s is given more than once, with different values"}
	textBodyAndURL        = text{"此接口的参数只能全部写在 URL 中，或全部写在请求正文中：URL 中已有参数，这种类型（Content-Type）的正文不会被读取", "this endpoint takes its parameters in the URL or in the body: the URL has some, and then a body of this Content-Type would be read past"}
	textMultipart         = text{"此接口不读取 multipart 正文，请使用 application/json、application/x-www-form-urlencoded，或把参数写在 URL 中", "the parts of a multipart body are not read here: send application/json, application/x-www-form-urlencoded, or parameters in the URL"}
	textContentType       = text{"请求正文不是 application/json 或 application/x-www-form-urlencoded，URL 中也没有参数", "the body is neither application/json nor application/x-www-form-urlencoded, and the URL has no parameters"}
	textCharset           = text{"请求正文的字符集只能为 UTF-8", "the charset of a body can only be UTF-8: send it in UTF-8, and charset=UTF-8 or none"}
	textContentEncoding   = text{"不支持压缩的请求正文", "a compressed body is not taken"}
	textNoCaller          = text{"需要凭证：Authorization: Bearer <key> 或参数 access_token", "a key is needed: Authorization: Bearer <key>, or parameter access_token"}
	textBadKey            = text{"凭证无效", "the key is not valid"}
	textNotAllowed        = text{"无权调用此接口", "this caller may not call this endpoint"}
	textCrossSite         = text{"拒绝浏览器从其他站点（或未说明来源）发起的匿名调用：请在 http.cors_origins 中列出该页面的来源，或使用凭证", "an anonymous call of a browser from a page of another site, or one that does not say from which, is refused: list the page's origin in http.cors_origins, or call with a key"}
	textHost              = text{"拒绝以主机名 %s 发起的匿名调用：请在 http.hosts 中列出该主机名，或使用凭证", "an anonymous call for the host name %s is refused: list the name in http.hosts, or call with a key"}
	textBadToken          = text{"令牌无效、已过期或已撤销，请重新获取", "the token is not valid, has ended or was revoked: ask for a new one"}
	textNotYours          = text{"只能操作自己的数据或所在的会话", "a user token is for one's own data and sessions"}
	textFindOff           = text{"管理员未开放用户查找（http.find_users）", "the administrator has not opened the search for users (http.find_users)"}
	textPlainType         = text{"用户令牌只能创建类型为 0 的会话", "a user token makes sessions of type 0 only"}
	textPicture           = text{"参数 %s 只能为本系统的图片、http 或 https 地址", "parameter %s is neither a picture of this system nor an http or https address"}
	textNotBit            = text{"参数 %s 只能为 0 或 1", "parameter %s is neither 0 nor 1"}
	textNoSuchMessage     = text{"消息 %q 不存在", "there is no message %q"}
	textNoSuchCall        = text{"调用 %q 不存在或已过期", "there is no call %q, or it is too old"}
	textNoPushes          = text{"没有推送渠道接收此类消息（push.*）", "no push channel takes messages of this type (push.*)"}
	textNoticeGone        = text{"通知 %q 的消息已全部撤回或清理", "all messages of the notice %q were revoked or cleaned up"}
	textRemindedLately    = text{"同一通知每分钟最多提醒一次", "a notice can be reminded of once a minute"}
	textKeyUsed           = text{"幂等键已用于内容不同的请求", "the idempotency key was used for a request with other content"}
	textBadKeyText        = text{"幂等键（请求头 %s 或参数 %s）应为 1 至 %d 个可打印的 ASCII 字符，首尾无空格，且两处一致", "the idempotency key (header %s, or parameter %s) is not 1 to %d printable ASCII characters without blanks at its ends, or given twice with different values"}
	textNoSuchPost        = text{"公告 %q 不存在", "there is no announcement %q"}
	textBadLimit          = text{"参数 %s 应为 1 至 %d 的数字", "parameter %s is no number from 1 to %d"}
	textBadCursor         = text{"参数 %s 不是上一页的 next", "parameter %s is not next of a page before"}
	textBadEventState     = text{"参数 %s 只能为 waiting、failing 或 dead", "parameter %s is neither waiting, failing nor dead"}
	textOneOrAll          = text{"参数 %s 与 %s=1 必须给出其一，且只给一个", "one of the parameters %s and %s=1 is needed, and not both"}
	textNoDeadEvent       = text{"没有 id 为 %s 的死信", "there is no dead event %s"}
	textBadPushState      = text{"参数 %s 只能为 waiting、failing 或 failed", "parameter %s is neither waiting, failing nor failed"}
	textBadMoment         = text{"参数 %s 不是以毫秒计的时间", "parameter %s is no time in epoch milliseconds"}
	textBadLanguage       = text{"参数 %s 只能为 zh 或 en", "parameter %s is neither zh nor en"}
	textBadKeyName        = text{"密钥名称 %q 含有空白或不可打印的字符，或为保留名称", "the key name %q has blanks or characters that do not show, or is reserved"}
	textKeyNameUsed       = text{"名称 %q 已被（现有或已终止的）密钥使用", "there is, or was, a key named %q: its name stands in the audit log, so take another"}
	textBadScopes         = text{"参数 %s 只能为 business、admin 或两者（以逗号分隔）", "parameter %s is neither business nor admin, nor both with a comma between"}
	textBadRate           = text{"参数 %s 不是每秒调用次数：0（不限），或 %v 至 %d", "parameter %s is no number of calls a second: 0 (no limit), or %v to %d"}
	textSecretGiven       = text{"参数 %s 看起来是密钥或令牌本身：名称会写入日志和审计记录。未作记录，也未作更改；请换一个名称", "parameter %s looks like a key or a token itself, and names stand in logs and in the audit log: nothing was noted or changed, give another name"}
	textCleanupRuns       = text{"正在清理，请等待其结束或先停止", "a clean-up is under way: wait for its end, or stop it"}
	textNoSuchKey         = text{"没有名为 %q 的密钥", "there is no key named %q"}
	textKeyElsewhere      = text{"密钥 %q 来自配置（%s），请在那里修改，然后重新加载（SIGHUP）", "the key %q is the configuration's (%s): change it there, and have it read again (SIGHUP)"}
	textNoRobot           = text{"此密钥没有机器人，不能发送聊天消息：请在 http.keys 中配置 robot，或用 admin/keys/new 的 robot_id 新建密钥", "this key speaks as no robot, so it sends no chat messages: give it one by robot of http.keys, or make a key with robot_id of admin/keys/new"}
	textRobotDeclared     = text{"机器人 %q 已由密钥 %q 声明为其他名称或写法，共用一个机器人的密钥必须声明相同的 id 和名称", "the robot %q is declared otherwise by the key %q: two keys may share one if both have the same id and name"}
	textOneReceiver       = text{"参数 to（用户）和 session_id（群组）必须且只能有一个", "one of the parameters to (a user) and session_id (a group) is needed, and not both"}
	textBadMessageType    = text{"参数 type 只能为 text、picture、file、voice 或 revoke", "parameter type is neither text, picture, file, voice nor revoke"}
	textRobotNoMember     = text{"机器人 %q 不是该群组的成员，请先用 modifySession 把它加入", "the robot %q is no member of this group: add it with modifySession first"}
	textMessageIDUsed     = text{"msg_id 或幂等键已用于另一条消息", "the msg_id or idempotency key was used for another message"}
	textRobotTooFast      = text{"机器人发送过于频繁，请稍后重试", "the robot sends too much, try again later"}
	textTooFast           = text{"调用过于频繁，请稍后重试", "too many calls, try again later"}
	textBusy              = text{"服务暂不可用，请稍后重试", "not available now, try again later"}
	textFault             = text{"服务器内部错误", "an internal error"}
	textNoPath            = text{"没有此接口", "there is no such endpoint"}
	textNoMethod          = text{"只支持 GET 和 POST", "only GET and POST are taken"}
	textPostOnly          = text{"此接口只支持 POST", "this endpoint changes something and takes POST only"}
	textGone              = text{"此接口已取消，请改用 %s", "this endpoint was dropped, use %s"}
)

// chineseCodes are the Chinese sentences of refusals that come from the component, whose own text is English.
var chineseCodes = map[protocol.Code]string{
	protocol.BodyEmpty:         "消息正文为空",
	protocol.TypeInvalid:       "消息类型为空或无效",
	protocol.GroupTypeInvalid:  "会话类型为空或无效",
	protocol.GroupNameEmpty:    "会话名称为空",
	protocol.GroupOwnerInvalid: "会话创建者为空或不存在",
	protocol.NotJSON:           "JSON 无法解析",
	protocol.NotArray:          "正文不是有效的数组",
	protocol.GroupIDEmpty:      "会话标识为空",
	protocol.UserIDInvalid:     "用户标识为空或无效",
	protocol.NoSuchGroup:       "会话不存在",
	protocol.GroupNotCreated:   "会话创建失败，没有有效的成员",
	protocol.NotAllowed:        "没有权限",
	protocol.TooLarge:          "内容超过长度限制或数据库无法保存",
	protocol.TryLater:          "暂时无法处理，请稍后重试",
	protocol.IDConflict:        "消息标识缺失或已被其他消息使用",
}
