import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// TLIM names a tlim for `npm run dev`; everything that is not this page's own goes there.
const tlim = process.env['TLIM'] ?? 'http://127.0.0.1:9595'

export default defineConfig({
  root: here('.'),
  base: './', // tlim may be served below a path
  plugins: [vue()],
  resolve: { alias: { 'tlim-client': here('../client/src/index.ts'), shared: here('../shared') } },
  define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false },
  build: {
    outDir: here('../dist/chat'), emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(['/plugins', '/mobileHttpController', '/upload', '/uploader', '/web', '/xmpp'].map((path) => [path, { target: tlim, ws: path === '/xmpp' }])),
  },
})
