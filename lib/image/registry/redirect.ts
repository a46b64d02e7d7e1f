import { CrateError } from "../../errors.ts";
import type { Request, Transport } from "./transport.ts";

const MAX_REDIRECTS = 8;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Goes where a server sends us. The layers within put credentials on what goes to the registry's own origin only, so none
 * follow elsewhere. From HTTPS nothing leads back to plain HTTP.
 */
export function following(send: Transport): Transport {
  return async (first) => {
    let request: Request = first;
    for (let hops = 0;; hops++) {
      const answer = await send(request);
      if (!REDIRECTS.has(answer.status)) return answer;
      const location = answer.headers.get("location");
      if (location === null || typeof request.body === "function") return answer;
      answer.cancel();
      const from = request.url.host;
      if (hops === MAX_REDIRECTS) {
        throw new CrateError(
          "FAILED",
          `${first.url.host} redirects more than ${MAX_REDIRECTS} times`,
        );
      }
      const url = URL.parse(location, request.url);
      if (url === null || !/^https?:$/.test(url.protocol)) {
        throw new CrateError("FAILED", `${from} redirects to something that is not http or https`);
      }
      if (request.url.protocol === "https:" && url.protocol !== "https:") {
        throw new CrateError("FAILED", `${from} redirects from https to plain http at ${url.host}`);
      }
      url.username = url.password = "";
      request = { ...request, url };
      if (answer.status === 303 && request.method !== "HEAD") {
        const { body: _, ...rest } = request;
        request = { ...rest, method: "GET" };
      }
    }
  };
}
