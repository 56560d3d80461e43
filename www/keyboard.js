/** Keeps the page above the on-screen keyboard where `interactive-widget=resizes-content` is unknown (iOS). */

export function stayAboveKeyboard() {
  const seen = window.visualViewport;
  if (!seen) return;
  const fit = () => {
    // Zoomed in, the visual viewport is a part of the page that the reader chose: leave it alone.
    const covered = seen.scale === 1 && seen.height < window.innerHeight - 1;
    document.documentElement.style.setProperty('--height', covered ? `${seen.height}px` : '100dvh');
    if (covered) window.scrollTo(0, 0);
  };
  seen.addEventListener('resize', fit);
  seen.addEventListener('scroll', fit);
}
