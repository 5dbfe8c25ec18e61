import { mount } from 'svelte';
import App from './App.svelte';
import { app } from './state/app.svelte';
import './styles/tokens.css';
import './styles/base.css';
import './styles/prose.css';

mount(App, { target: document.getElementById('app') as HTMLElement });
void app.start();
