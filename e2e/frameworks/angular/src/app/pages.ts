import { Component, afterNextRender, signal } from "@angular/core";

@Component({
  selector: "app-counter",
  template: `<button id="count" (click)="count.set(count() + 1)">Clicked {{ count() }}</button>`,
})
export class Counter {
  count = signal(0);
  constructor() {
    afterNextRender(() => { (window as any).hydrated = true; });
  }
}

@Component({
  imports: [Counter],
  template: `
    <main>
      <h1>Home</h1>
      <p>Welcome.</p>
      <iframe src="https://www.youtube.com/embed/abc" width="560" height="315" title="A video"></iframe>
      <img src="https://www.facebook.com/tr?id=1" width="1" height="1" alt="" />
      <app-counter />
    </main>
  `,
})
export class Home {}

@Component({
  imports: [Counter],
  template: `<main><h1>About</h1><p>{{ text }}</p><app-counter /></main>`,
})
export class About {
  text = "A long text. ".repeat(400);
}

@Component({
  template: `
    <main>
      <h1>Form</h1>
      <form (submit)="$event.preventDefault(); sent.set(name.value)">
        <input name="name" #name /><button>Send</button>
      </form>
      <p id="sent">{{ sent() }}</p>
    </main>
  `,
})
export class Form {
  sent = signal("");
}

@Component({ imports: [Counter], template: `<main><h1>Pay</h1><app-counter /></main>` })
export class Pay {}
