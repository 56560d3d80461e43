/** Keeps the page above the on-screen keyboard where `interactive-widget=resizes-content` is unknown (iOS). */

export function stayAboveKeyboard() {
  const seen = window.visualViewport;
  const fit = () => {
    // Zoomed in, it is a part of the page that the reader chose.
    const covered = seen.scale === 1 && seen.height < innerHeight - 1;
    document.body.style.height = covered ? `${seen.height}px` : '';
    if (covered) scrollTo(0, 0);
  };
  seen?.addEventListener('resize', fit);
}
