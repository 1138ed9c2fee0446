// Nothing of a foreign host, and a key that is typed in is forgotten with the page.
SwaggerUIBundle({
  url: "../openapi.json",
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  persistAuthorization: false,
  validatorUrl: null,
  queryConfigEnabled: false,
});

// Swagger UI speaks English alone: on a Chinese page its words are exchanged as they appear, and nothing that the API says.
const chinese = {
  "Authorize": "填写凭据",
  "Authorized": "已填写凭据",
  "Available authorizations": "可用的凭据",
  "Cancel": "取消",
  "Clear": "清除",
  "Close": "关闭",
  "Code": "状态码",
  "Copy to clipboard": "复制",
  "Description": "说明",
  "Details": "详情",
  "Download": "下载",
  "Edit Value": "编辑",
  "Enum:": "可取的值：",
  "Errors": "错误",
  "Example": "例子",
  "Example Value": "例子",
  "Examples": "例子",
  "Execute": "执行",
  "Failed to load API definition.": "无法载入接口文档。",
  "Headers:": "头字段：",
  "Hide": "隐藏",
  "In:": "位置：",
  "Links": "链接",
  "Logout": "清除凭据",
  "Media type": "媒体类型",
  "Name": "名称",
  "Name:": "名称：",
  "No links": "无",
  "No parameters": "没有参数",
  "Parameter": "参数",
  "Parameters": "参数",
  "Request URL": "请求地址",
  "Request body": "请求正文",
  "Request duration": "用时",
  "Reset": "重置",
  "Response": "答复",
  "Response body": "答复正文",
  "Response headers": "答复头",
  "Responses": "答复",
  "Schema": "类型",
  "Send empty value": "发送空值",
  "Server response": "服务器的答复",
  "Servers": "服务器",
  "Try it out": "试一试",
  "Type": "类型",
  "Value:": "值：",
};

if (document.documentElement.lang === "zh-CN") {
  document.title = "tlim HTTP 接口";
  const exchange = (node) => {
    const said = node.data.trim();
    if (Object.hasOwn(chinese, said) && !node.parentElement?.closest("pre, code, textarea, .renderedMarkdown, .parameters-col_name, .prop-name, .opblock-tag")) {
      node.data = chinese[said];
    }
  };
  const all = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      exchange(node);
      return;
    }
    const texts = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      exchange(texts.currentNode);
    }
  };
  new MutationObserver((changes) => {
    for (const change of changes) {
      change.addedNodes.forEach(all);
      if (change.type === "characterData") {
        exchange(change.target);
      }
    }
  }).observe(document.getElementById("swagger-ui"), { childList: true, subtree: true, characterData: true });
}
