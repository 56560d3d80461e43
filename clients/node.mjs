// node node.mjs http://raspberrypi.local:1920/c/lamp [TEXT]: sends the text, prints what comes, and misses nothing.
const [url, ...texts] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${process.env.FOGHORN_CODE ?? ''}` };
for (const body of texts) if (!(await fetch(url, { method: 'POST', headers, body })).ok) throw new Error('not sent');
for (let epoch, after = ''; ; await new Promise((resolve) => setTimeout(resolve, 2000))) {
  const { status, body } = await fetch(`${url}?as=json${after}`, { headers }).catch(() => ({}));
  if (status >= 400 && status < 429) throw new Error(`refused with ${status}`); // 401: the code is wrong
  try {
    let rest = '';
    for await (const text of body.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const message of lines.filter(Boolean).map((line) => JSON.parse(line))) {
        if ('epoch' in message) ({ epoch } = message); // the hello
        else console.log(message.text ?? message.base64);
        after = `&after=${epoch}:${message.seq}`;
      }
    }
  } catch {} // there is no hub, or it broke off within a message
}
