// Verdicts for the gateway, kept till it answers: docs/browser.md
{
let all = {}, busy = {}, wake = {}, text = JSON.stringify;

const read = () => {
	try {
		all = JSON.parse(localStorage.thumbwheel);
	} catch {}
	return all;
};

const write = (id, one) => {
	all = Object.fromEntries(Object.entries({ ...all, [id]: one }).slice(-499));
	try {
		delete localStorage.thumbwheel;
		localStorage.thumbwheel = text(all);
	} catch {}
};

const tell = async (id, pause = 1e3) => {
	const { said, to, was } = read()[id], body = text(said);
	if (!to) return said;
	const reply = await fetch(to, {
		method: "POST", body, keepalive: body.length < 2e4, signal: AbortSignal.timeout?.(3e4)
	}).catch(Error);
	const no = /^4(?!08|29)/.test(reply.status) && (await reply.json().catch(Error));
	if (read()[id].said.key != said.key) return tell(id); // changed
	if (reply.status == 202) write(id, { said });
	else if (no) {
		write(id, was);
		throw Error(no.error?.message || reply.status);
	} else await new Promise((go) => {
		wake[id] = go;
		addEventListener("online", go);
		setTimeout(go, pause + reply.headers?.get("retry-after") * 1e3 || pause);
	});
	return tell(id, pause * 2);
};

const push = (id) => (busy[id] ||= tell(id).finally(() => delete busy[id]));

const send = async (token, what) => {
	const slot = what.correction ? "correction" : what.outcome ? "outcome:" + what.outcome.name : "thumb";
	const id = token + (what.retract || slot), { said, to, was } = read()[id] || {};
	if (text({ ...said, ...what }) != text(said))
		write(id, {
			said: { token, key: "" + Math.random(), ...what },
			to: new URL(what.winner ? "v1/comparisons" : "v1/feedback", thumbwheel.url),
			was: to ? was : { said }
		});
	wake[id]?.();
	return push(id);
};

window.thumbwheel = {
	url: document.currentScript?.src,
	send,
	thumb: (token, thumb, more) => send(token, { thumb, ...more }),
	compare: (token, winner) => send(token, { winner }),
	said: (token, slot = "thumb") => read()[token + slot]?.said
};
for (const id in read()) push(id).catch(Error);
}
