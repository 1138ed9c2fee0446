// How a page of this folder is built, and served by `npm run dev`.
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig, type UserConfig } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// TLIM names a tlim for `npm run dev`; everything that is not the page's own goes there.
const tlim = process.env['TLIM'] ?? 'http://127.0.0.1:9595'

/** page is the configuration of the page in folder name, which tlim serves at path. */
export function page(name: string, path: string): UserConfig {
  return defineConfig(({ command }) => ({
    root: here(name),
    base: command === 'serve' ? path : './', // tlim may be served below a path
    plugins: [vue()],
    resolve: { alias: { 'tlim-client': here('client/src/index.ts'), shared: here('shared') } },
    define: { __VUE_OPTIONS_API__: false, __VUE_PROD_DEVTOOLS__: false },
    build: {
      outDir: here(`dist/${name}`), emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
    server: {
      host: '127.0.0.1',
      fs: { allow: [here('.')] },
      proxy: Object.fromEntries(['/plugins', '/mobileHttpController', '/upload', '/uploader', '/web', '/xmpp'].map((path) => [path, { target: tlim, ws: path === '/xmpp' }])),
    },
  })) as UserConfig
}
