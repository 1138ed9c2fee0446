package httpapi

func uploaded(summary string, owner bool, answer ...field) endpoint {
	e := endpoint{tag: "files", summary: summary, answer: answer,
		text: "The parts may come in any order. A user token uploads in its own name. Failures are HTTP 400 or above.",
		params: []field{{name: "mFile", kind: binary, missing: resultFail, text: "The file, of at most files.max_size bytes (100 MiB)."},
			{name: "user_id", kind: userID, text: "Who uploads; not needed with a user token."}}}
	if !owner {
		e.params[1].text = "Who uploads; may be absent."
	}
	return e
}

var fileID = field{name: "fileId", kind: anyText, missing: resultFail, text: "Id of the file: 32 hexadecimal digits. One that is not here is asked of the old system where files.fallback_url is set (302), else 404."}

var sizeField = field{name: "size", kind: kind{schema: object{"type": "integer", "minimum": 1, "maximum": maxThumbnail}, wrong: resultFail},
	text: "A small picture instead, of which no side is longer than the next of 64, 128, 256, 512 and 1024 pixels: of JPEG, PNG and GIF (its first image), as JPEG or PNG, turned as its camera was held. Other files come as they are; 415: too many pixels, or broken."}

const downloadText = "Answers ranges and conditions (Range, If-Range, If-None-Match). By default whoever holds the link may read; with files.access strict its uploader, whoever was sent it, and admin keys."

var describedFiles = map[string]endpoint{
	"mobileHttpController/uploadForUrl":        uploaded("Uploads a file and answers its link", true),
	"mobileHttpController/uploadForJsonUrl":    uploaded("Uploads a file and answers its link as JSON", true, field{name: "url", kind: words, text: "Link of the file."}),
	"mobileHttpController/uploadForFileId":     uploaded("Uploads a file and answers its id", true),
	"mobileHttpController/uploadForJsonFileId": uploaded("Uploads a file and answers its id as JSON", true, field{name: "fileId", kind: words, text: "Id of the file."}),
	"upload/mobileFileUpload":                  uploaded("Uploads a file (document 1.3)", false, field{name: "file_id", kind: words, text: "Id of the file."}),
	"upload/download": {tag: "files", summary: "Downloads a file", text: downloadText,
		params: []field{fileID, {name: "fileName", kind: anyText, text: "Name in the link; the file is sent under the name that it was uploaded with."}, sizeField}},
	"upload/mobileFileDownload": {tag: "files", summary: "Downloads a file (document 1.3)", text: downloadText, params: []field{fileID, sizeField}},
	"uploader/loadImg": {tag: "files", summary: "Downloads a picture of a group", text: downloadText,
		params: []field{{name: "pic", kind: anyText, missing: resultFail, text: "Id or link of an image that was uploaded here."}, sizeField}},
}
