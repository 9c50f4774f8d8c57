// A visitor of a site for Playwright Test: rejects, accepts, sends Global Privacy Control.
// The same words as consent-proxy's pytest plugin. Who received a request is asked of the command
// `consent-proxy receivers`, so that this file knows no vendor and no rule.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { test as base, type Page, type Request } from "@playwright/test";

const QUIET = 500; // ms without a request: the page is done
const PATIENCE = 20_000;

export interface ConsentOptions {
  /** More hosts of the site's own, besides those of its domain. */
  consentOwnHosts: string[];
  /** The program that is asked, with its first arguments. */
  consentProxy: string[];
  /** The prefix of consent-proxy's endpoints. */
  consentPrefix: string;
}

/** A vendor's id, or a host that no vendor has; and the sentence that tells what it was sent. */
type Receiver = { id: string; message: string };

/** A page sent data to a third party that it should not have; the message names each. */
export class TrackerError extends Error {
  override name = "TrackerError";
}

/** What a page sent since it was opened or last asked for. */
class Log {
  requests: Request[] = [];
  sockets: string[] = [];
  last = Date.now();

  constructor(page: Page, readonly site: string, readonly options: ConsentOptions) {
    page.context().on("request", (request) => {
      this.last = Date.now();
      this.requests.push(request);
    });
    page.on("websocket", (socket) => {
      this.last = Date.now();
      this.sockets.push(socket.url());
    });
  }

  forget(): void {
    this.requests = [];
    this.sockets = [];
  }

  async receivers(): Promise<Receiver[]> {
    // "csp": a policy of the page stopped it before it was sent.
    const sent = this.requests.filter((request) => request.failure()?.errorText !== "csp");
    const asked = [
      ...sent.map((one) => ({ url: one.url(), body: one.postDataBuffer()?.toString("utf8") ?? "" })),
      ...this.sockets.map((url) => ({ url })),
    ];
    const [program, ...first] = this.options.consentProxy;
    const own = this.options.consentOwnHosts.flatMap((host) => ["--own", host]);
    const words = [...first, "receivers", this.site, ...own, "--json"];
    const answer = promisify(execFile)(program ?? "consent-proxy", words, { maxBuffer: 1 << 26 });
    answer.child.stdin?.on("error", () => undefined); // it has ended, and its own error says why
    answer.child.stdin?.end(JSON.stringify(asked));
    return JSON.parse((await answer).stdout);
  }
}

const logs = new WeakMap<Page, Log>();

/** A visitor of one site, with one page. */
export class SiteVisitor {
  /** `page` is new: what it sends is watched from here on. */
  constructor(
    readonly page: Page, private readonly baseURL: string, private readonly options: ConsentOptions,
  ) {
    logs.set(page, new Log(page, baseURL, options));
  }

  /** Open a page of the site and wait until it is quiet. What was sent before is forgotten. */
  async open(path = "/"): Promise<Page> {
    await this.leave();
    await this.page.goto(new URL(path, this.baseURL).href);
    await settle(this.page);
    return this.page;
  }

  /** Reject everything, on the preferences page, and go back to the page that was open. */
  rejects(): Promise<Page> {
    return this.choose("reject_all");
  }

  /** The same buttons: a choice is taken back as it is given. */
  withdraws(): Promise<Page> {
    return this.rejects();
  }

  /** Accept these categories and no others; without any, everything. */
  accepts(...categories: string[]): Promise<Page> {
    return this.choose(categories.length ? "save" : "accept_all", categories);
  }

  /** From here on the browser sends the opt-out preference signal (Sec-GPC: 1). */
  async withGpc(): Promise<this> {
    await this.page.context().setExtraHTTPHeaders({ "Sec-GPC": "1" });
    await this.page.context().addInitScript(
      "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
    );
    return this;
  }

  private async choose(action: string, allowed: string[] = []): Promise<Page> {
    const here = this.page.url();
    await this.page.goto(new URL(`${this.options.consentPrefix}/preferences`, this.baseURL).href);
    if (action === "save") await this.check(allowed);
    const top = this.page.mainFrame();
    await Promise.all([
      this.page.waitForEvent("framenavigated", (frame) => frame === top),
      this.page.locator(`button[name=action][value=${action}]`).first().click(),
    ]);
    await settle(this.page);
    await this.leave();
    if (/^https?:/.test(here)) {
      await this.page.goto(here);
      await settle(this.page);
    }
    return this.page;
  }

  private async check(allowed: string[]): Promise<void> {
    const boxes = await this.page.locator("input[type=checkbox][name=category]").all();
    const known = await Promise.all(boxes.map((box) => box.getAttribute("value")));
    const wrong = allowed.filter((word) => !known.includes(word));
    if (wrong.length) {
      throw new Error(`no category ${wrong.join(", ")} on this site; choose from ${known.join(", ")}`);
    }
    for (const [index, box] of boxes.entries()) {
      await box.setChecked(allowed.includes(known[index] ?? ""));
    }
  }

  /** Nothing that the last page still sends is counted with the next. */
  private async leave(): Promise<void> {
    if (this.page.url() !== "about:blank") {
      await this.page.goto("about:blank");
      await this.page.waitForTimeout(50);
    }
    logOf(this.page).forget();
  }
}

/** Wait until the page is loaded and has sent nothing for a while. */
export async function settle(page: Page): Promise<void> {
  await page.waitForLoadState("load");
  const log = logOf(page);
  const since = Date.now();
  while (Date.now() - Math.max(log.last, since) < QUIET && Date.now() - since < PATIENCE) {
    await page.waitForTimeout(25);
  }
}

/** No third party was sent anything since the page was opened. Throws TrackerError. */
export function assertNoTrackers(page: Page): Promise<void> {
  return assertOnlyVendors(page, []);
}

/** Only these were sent something since the page was opened: ids of the catalogue, or hosts that it
 * does not know. Those of `present` must have been. Throws TrackerError. */
export async function assertOnlyVendors(
  page: Page, allowed: string[], present: string[] = [],
): Promise<void> {
  await settle(page);
  const found = await logOf(page).receivers();
  const extra = found.filter(({ id }) => ![...allowed, ...present].includes(id));
  const missing = present.filter((id) => !found.some((one) => one.id === id));
  const lines = [
    ...extra.map(({ message }) => message),
    ...missing.map((id) => `${id}: was sent nothing, and should have been`),
  ];
  if (lines.length) throw new TrackerError([page.url(), ...lines].join("\n  "));
}

function logOf(page: Page): Log {
  const log = logs.get(page);
  if (!log) throw new Error("this page was not watched from its beginning: use visitor.page");
  return log;
}

/** Playwright's `test` with the fixture `visitor`. The site's address is `use.baseURL`. */
export const test = base.extend<ConsentOptions & { visitor: SiteVisitor }>({
  consentOwnHosts: [[], { option: true }],
  consentProxy: [["consent-proxy"], { option: true }],
  consentPrefix: ["/.consent", { option: true }],
  visitor: async ({ context, baseURL, consentOwnHosts, consentProxy, consentPrefix }, use) => {
    if (!baseURL) throw new Error("the fixture `visitor` needs the site's address: use.baseURL");
    const options = { consentOwnHosts, consentProxy, consentPrefix };
    await use(new SiteVisitor(await context.newPage(), baseURL, options));
  },
});
