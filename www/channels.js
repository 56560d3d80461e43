/** The dialog that leads to other channels, and can delete what was said in this one. */

import { channel, here, request, wayTo } from './channel.js';
import { $, close, closing, show } from './dialog.js';

export function channels() {
  const part = (name) => $(`channels${name}`);
  const [dialog, name, deletion, text, button] = ['', '-name', '-delete', '-text', '-button'].map(part);
  part('-main').hidden = !channel;

  part('-open').onclick = () => {
    name.value = '';
    deletion.open = false;
    part('-main').href = wayTo('');
    text.textContent = `All that was said in ${channel || 'the main channel'} is deleted, on connected pages too.`;
    show(dialog);
  };
  closing(dialog, () => {
    const chosen = name.value.trim().toLowerCase();
    if (chosen !== channel) location.href = wayTo(chosen);
  });

  button.onclick = async () => {
    button.disabled = true;
    const answer = await request(here, { method: 'DELETE' }).catch(() => null);
    button.disabled = false;
    // The list is emptied by what the connection says, here as everywhere.
    if (answer && answer.ok) return close(dialog);
    text.textContent = `Not deleted: the server ${answer ? `answered ${answer.status}` : 'cannot be reached'}.`;
  };
}
