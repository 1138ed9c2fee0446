import { createApp } from 'vue'
import App from './App.vue'
import 'shared/base.css'
import './style.css'

createApp(App).mount('#app')
